"""Held-out instances: which rows they are, of what kind, and the problems behind them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from datasets_build.segmentation.segment import Counter as TokenCounter
from datasets_build.synthetic import generate
from inftythink_graph.answers import extract_answer
from inftythink_graph.protocol import parse
from sft.arguments import DataArguments
from sft.row_kinds import row_kind
from sft.synthetic_rows import problem_rows

__all__ = ["HeldOutProblem", "Problems", "is_held_out", "picked", "synthetic_eval_rows", "uuid_of"]

_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class HeldOutProblem:
    """A problem that was not trained on.

    Attributes:
        uuid: the example that it comes from.
        question: its text.
        answer: the known answer.
        epochs: segments of the known chain.
    """

    uuid: str
    question: str
    answer: str
    epochs: int


def uuid_of(row: Mapping[str, Any]) -> str:
    """The example that a row belongs to, as text; "" where it names none."""
    uuid = row.get("uuid")
    return "" if uuid is None else str(uuid)


def is_held_out(uuid: str, share: float) -> bool:
    """Whether an example belongs to the held-out share: by a hash of its uuid, the same in every run."""
    digest = hashlib.sha256(uuid.encode()).digest()
    return int.from_bytes(digest[:8], "big") % _BUCKETS < round(share * _BUCKETS)


def synthetic_eval_rows(args: DataArguments, count: TokenCounter) -> Iterator[dict[str, Any]]:
    """Rows of problems of the test split, made as the training rows are."""
    # Two rows at least of a long chain: the first has the question, the last the answer.
    if args.synthetic_rows_per_chain:
        args = replace(args, synthetic_rows_per_chain=max(args.synthetic_rows_per_chain, 2))
    rng = random.Random(args.synthetic_seed)
    seed, shortest, longest = args.synthetic_seed, args.synthetic_min_steps, args.synthetic_max_steps
    for family in dict.fromkeys(args.synthetic_families):
        number = args.synthetic_eval_chains
        for item in generate(family, number, seed=seed, split="test", min_steps=shortest, max_steps=longest):
            yield from (dict(row) for row in problem_rows(item, args, count, rng))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block if isinstance(block, str) else str(block.get("text") or "") for block in content)


class Problems:
    """Collects the problems behind held-out rows: the question from an example's first row, the answer from its last.

    Examples with a system prompt are left out: the graph sends none, so their model would be asked otherwise than it is
    trained.
    """

    def __init__(self) -> None:
        self._questions: dict[str, str] = {}
        self._answers: dict[str, tuple[str, int]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a row; rows without a uuid are passed over."""
        uuid = uuid_of(row)
        if not uuid or any(message["role"] == "system" for message in row["prompt"]):
            return
        kind = row_kind(row)
        if kind in ("first", "whole"):
            self._questions[uuid] = _text(row["prompt"][0]["content"])
        if kind in ("last", "whole"):
            answer = extract_answer(parse(row["completion"][-1]["content"], "stop").conclusion)
            if answer:
                self._answers[uuid] = (answer, int(row.get("epochs") or 1))

    def found(self) -> list[HeldOutProblem]:
        """The problems whose question and answer are both known, in the order of their questions."""
        return [
            HeldOutProblem(uuid, question, *self._answers[uuid])
            for uuid, question in self._questions.items()
            if uuid in self._answers
        ]


def picked(problems: Iterable[HeldOutProblem], number: int, max_epochs: int) -> list[HeldOutProblem]:
    """At most ``number`` of the problems that ``max_epochs`` segments suffice for, the same ones in every run."""
    short = [problem for problem in problems if problem.epochs <= max_epochs]
    return sorted(short, key=lambda problem: hashlib.sha256(problem.uuid.encode()).digest())[:number]
