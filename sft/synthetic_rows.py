"""Rows of the synthetic problems: chains cut into segments, with the states that the problems give as summaries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from typing import Any

from datasets_build.carries import counter_run, digits_alike, longest_carry_run, most_digits, repeated_digits
from datasets_build.instances import Instance, inftythink_instances, rescue_instance, vanilla_instance
from datasets_build.segmentation.segment import Counter as TokenCounter
from datasets_build.segmentation.segment import pack_units
from datasets_build.synthetic import Problem, generate
from sft.arguments import DRAWN_ROWS, DataArguments

__all__ = ["corpus", "problem_rows", "synthetic_problems", "synthetic_rows"]

_ENDS_DRAWN = 4  # problems that are drawn for each one whose ends are kept, so that all lengths are among them
_ENDS_SEED = 1_000_000  # far from those of the chains


def _drawn(args: DataArguments, count: int, *, seed: int = 0) -> Iterator[Iterator[Problem]]:
    """So many problems for each family that is named, each time others; ``seed`` is added to the recipe's."""
    for position, family in enumerate(args.synthetic_families):
        own = args.synthetic_seed + args.synthetic_families[:position].count(family) + seed
        shortest, longest = args.synthetic_min_steps, args.synthetic_max_steps
        yield generate(family, count, seed=own, min_steps=shortest, max_steps=longest)


def synthetic_problems(args: DataArguments) -> Iterator[Problem]:
    """The training problems of a recipe; a family that is named k times gives k times as many, each time others."""
    for drawn in _drawn(args, args.synthetic_chains):
        yield from drawn


def _end_problems(args: DataArguments) -> Iterator[Problem]:
    """The problems of ``synthetic_ends``: numbers of each length equally often, as far as there are such."""
    for drawn in _drawn(args, _ENDS_DRAWN * args.synthetic_ends, seed=_ENDS_SEED):
        by_lengths: dict[tuple[int, ...], list[Problem]] = {}
        for item in drawn:
            by_lengths.setdefault(tuple(len(str(number)) for number in item.params), []).append(item)
        in_turn = (item for same in zip_longest(*by_lengths.values()) for item in same if item is not None)
        yield from islice(in_turn, args.synthetic_ends)


def synthetic_rows(args: DataArguments, count: TokenCounter, rng: random.Random) -> Iterator[Instance]:
    """All rows of a recipe whose dataset is ``synthetic``."""
    for item in synthetic_problems(args):
        yield from problem_rows(item, args, count, rng)
    only_ends: dict[str, Any] = {**dict.fromkeys(DRAWN_ROWS, 0), "synthetic_rows_per_chain": 2}
    ends = replace(args, synthetic_rescue_share=0.0, **only_ends)
    for item in _end_problems(args) if args.synthetic_ends else ():
        yield from problem_rows(item, ends, count, rng)


def corpus(args: DataArguments, *, chains: int = 1000, lines: int = 40) -> Iterator[str]:
    """Texts for a tokenizer from scratch: questions, heads of chains, states and conclusions."""
    for family in args.synthetic_families:
        for item in generate(family, chains, seed=args.synthetic_seed, max_steps=args.synthetic_max_steps):
            head = "\n".join((item.setup, *item.steps[:lines]))
            yield from (item.question, head, item.start, item.states[-1], item.closing, item.conclusion)


def _rescue(item: Problem, span: range, before: str | None, rng: random.Random) -> tuple[str, str] | None:
    """A segment of the problem cut somewhere inside, and the state after its last whole line."""
    lines = item.lines
    whole = rng.randrange(len(span))
    line, _ = lines[span[whole]]
    partial = line[: rng.randrange(len(line))]
    state = lines[span[whole] - 1][1] if whole else before
    if state is None:  # cut in the very first line: nothing to summarize yet
        return None
    return "\n".join([*(lines[i][0] for i in span[:whole]), partial]), state


def _middle_rows(item: Problem, spans: Sequence[range], args: DataArguments, rng: random.Random) -> list[int]:
    """Which of the spans between first and last to keep: some drawn for what is rare in them, the rest at random.

    The weight of a span is the inverse of how rare its longest run of carries is, so that each length comes equally
    often as long as the chain has it; where it is drawn for its counter, far more for one that changes all digits.
    """
    lines = [line for line, _ in item.lines]
    left = list(range(1, len(spans) - 1))
    kept: list[int] = []
    for draws, base, run in (
        (args.synthetic_hard_rows, 10.0, longest_carry_run),
        (args.synthetic_counter_rows, 100.0, counter_run),
        (args.synthetic_close_rows, 10.0, digits_alike),
        (args.synthetic_large_rows, 5.0, most_digits),
        (args.synthetic_repeat_rows, 5.0, repeated_digits),
    ):
        weights = [base ** max(run(lines[j]) for j in spans[i]) for i in left] if draws else []
        for _ in range(min(draws, len(left))):
            position = rng.choices(range(len(left)), weights)[0]
            kept.append(left.pop(position))
            weights.pop(position)
    return sorted([*kept, *rng.sample(left, max(args.synthetic_rows_per_chain - 2 - len(kept), 0))])


def problem_rows(item: Problem, args: DataArguments, count: TokenCounter, rng: random.Random) -> list[Instance]:
    """The rows of one synthetic problem."""
    uuid = f"{item.family}-{'-'.join(map(str, item.params))}"
    provenance: dict[str, Any] = {"protocol": args.protocol(), "source": f"synthetic/{item.family}", "uuid": uuid}
    if args.method == "vanilla":
        return [vanilla_instance(item.question, item.chain, item.conclusion, **provenance)]
    lines, states = zip(*item.lines, strict=True)
    spans = pack_units(lines, args.eta, count)
    segments = ["\n".join(lines[i] for i in span) for span in spans]
    summaries = [states[span[-1]] for span in spans[:-1]]
    rows = inftythink_instances(item.question, segments, summaries, item.conclusion, eta=args.eta, **provenance)
    keep = args.synthetic_rows_per_chain
    if keep and len(rows) > keep:
        middle = _middle_rows(item, spans, args, rng)
        rows = [rows[i] for i in (0, *middle, len(rows) - 1)][:keep]
    if rng.random() < args.synthetic_rescue_share:
        index = rng.randrange(len(spans))
        before = summaries[index - 1] if index else None
        if cut := _rescue(item, spans[index], before, rng):
            position: dict[str, Any] = {"epoch": index + 1, "epochs": len(spans), "eta": args.eta}
            segment, state = cut
            rows.append(rescue_instance(item.question, before, segment, state, **position, **provenance))
    return rows
