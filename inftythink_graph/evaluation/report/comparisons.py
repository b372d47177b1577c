"""Every two runs of one task, compared problem by problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics import PairedComparison, compare_runs
from inftythink_graph.evaluation.trials import Run

__all__ = ["ComparedPair", "compare_all"]


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two runs of one task.

    Attributes:
        task: their task.
        left: name of the one.
        right: name of the other; differences are this one minus the left one.
        result: the comparison; None where there is none.
        note: why there is none.
    """

    task: str
    left: str
    right: str
    result: PairedComparison | None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The comparison as values that JSON has."""
        return asdict(self)


def compare_all(
    runs: Sequence[Run], names: Sequence[str], *, shared_only: bool = False, seed: int = 0
) -> list[ComparedPair]:
    """Compare every two runs of one task; where that can't be done, the note says why.

    Args:
        runs: the runs.
        names: what they are called, in the same order.
        shared_only: compare runs whose problems differ on those that they share.
        seed: of the draws.
    """
    pairs = []
    for (left, left_name), (right, right_name) in combinations(zip(runs, names, strict=True), 2):
        if left.task != right.task:
            continue
        try:
            result, note = compare_runs(left, right, shared_only=shared_only, seed=seed), ""
        except InvalidInputError as error:
            result, note = None, str(error)
        pairs.append(ComparedPair(left.task, left_name, right_name, result, note))
    return pairs
