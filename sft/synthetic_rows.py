"""Rows of the synthetic problems: chains cut into segments, with the states that the problems give as summaries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from datasets_build.carries import longest_carry_run
from datasets_build.instances import Instance, inftythink_instances, rescue_instance, vanilla_instance
from datasets_build.segmentation.segment import Counter as TokenCounter
from datasets_build.segmentation.segment import pack_units
from datasets_build.synthetic import Problem, generate
from sft.arguments import DataArguments

__all__ = ["corpus", "problem_rows", "synthetic_problems"]


def synthetic_problems(args: DataArguments) -> Iterator[Problem]:
    """The training problems of a recipe; a family that is named k times gives k times as many, each time others."""
    for position, family in enumerate(args.synthetic_families):
        seed = args.synthetic_seed + args.synthetic_families[:position].count(family)
        shortest, longest = args.synthetic_min_steps, args.synthetic_max_steps
        yield from generate(family, args.synthetic_chains, seed=seed, min_steps=shortest, max_steps=longest)


def corpus(args: DataArguments, *, chains: int = 1000, lines: int = 40) -> Iterator[str]:
    """Texts for a tokenizer from scratch: questions, heads of chains, states and conclusions."""
    for family in args.synthetic_families:
        for item in generate(family, chains, seed=args.synthetic_seed, max_steps=args.synthetic_max_steps):
            yield from (item.question, "\n".join(item.steps[:lines]), item.states[-1], item.conclusion)


def _rescue(item: Problem, span: range, before: str | None, rng: random.Random) -> tuple[str, str] | None:
    """A segment of the problem cut somewhere inside, and the state after its last whole step."""
    whole = rng.randrange(len(span))
    line = item.steps[span[whole]]
    partial = line[: rng.randrange(len(line))]
    state = item.states[span[whole] - 1] if whole else before
    if state is None:  # cut in the very first step: nothing to summarize yet
        return None
    return "\n".join([*(item.steps[i] for i in span[:whole]), partial]), state


def _middle_rows(item: Problem, spans: Sequence[range], keep: int, hard: int, rng: random.Random) -> list[int]:
    """Which of the spans between first and last to keep: ``hard`` of them drawn for their carries, the rest at random.

    The weight of a span is the inverse of how rare its longest run of carries is, so that each length comes equally
    often as long as the chain has it.
    """
    left = list(range(1, len(spans) - 1))
    weights = [10.0 ** max(longest_carry_run(item.steps[j]) for j in spans[i]) for i in left] if hard else []
    chosen: list[int] = []
    for _ in range(min(hard, keep)):
        position = rng.choices(range(len(left)), weights)[0]
        chosen.append(left.pop(position))
        weights.pop(position)
    return sorted([*chosen, *rng.sample(left, max(keep - hard, 0))])


def problem_rows(item: Problem, args: DataArguments, count: TokenCounter, rng: random.Random) -> list[Instance]:
    """The rows of one synthetic problem."""
    uuid = f"{item.family}-{'-'.join(map(str, item.params))}"
    provenance: dict[str, Any] = {"protocol": args.protocol(), "source": f"synthetic/{item.family}", "uuid": uuid}
    if args.method == "vanilla":
        return [vanilla_instance(item.question, item.chain, item.conclusion, **provenance)]
    spans = pack_units(item.steps, args.eta, count)
    segments = ["\n".join(item.steps[i] for i in span) for span in spans]
    summaries = [item.states[span[-1]] for span in spans[:-1]]
    rows = inftythink_instances(item.question, segments, summaries, item.conclusion, eta=args.eta, **provenance)
    keep = args.synthetic_rows_per_chain
    if keep and len(rows) > keep:
        middle = _middle_rows(item, spans, keep - 2, args.synthetic_hard_rows, rng)
        rows = [rows[i] for i in (0, *middle, len(rows) - 1)][:keep]
    if rng.random() < args.synthetic_rescue_share:
        index = rng.randrange(len(spans))
        before = summaries[index - 1] if index else None
        if cut := _rescue(item, spans[index], before, rng):
            position: dict[str, Any] = {"epoch": index + 1, "epochs": len(spans), "eta": args.eta}
            segment, state = cut
            rows.append(rescue_instance(item.question, before, segment, state, **position, **provenance))
    return rows
