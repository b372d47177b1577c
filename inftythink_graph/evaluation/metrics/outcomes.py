"""How trials end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from inftythink_graph.evaluation.trials import Trial

__all__ = ["OUTCOMES", "Share", "outcomes"]


@dataclass(frozen=True, slots=True)
class Share:
    """Some of the trials of a run.

    Attributes:
        count: how many.
        of: how many there are in all.
    """

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None where there are no trials."""
        return self.count / self.of if self.of else None


OUTCOMES: Mapping[str, Callable[[Trial], bool]] = MappingProxyType(
    {
        "answered": lambda trial: trial["status"] == "answered",
        "rejected": lambda trial: trial["status"] == "rejected",
        "exhausted": lambda trial: trial["status"] == "exhausted",
        "stalled": lambda trial: trial["status"] == "stalled",
        "cut": lambda trial: trial["status"] == "cut",
        "forced": lambda trial: trial["forced"],
        "no_answer": lambda trial: trial["answer"] is None,
        "malformed": lambda trial: trial["malformed"] > 0,
        "timed_out": lambda trial: trial["scoring"] == "timed_out",
    }
)
"""The outcomes by name. The first five exclude one another; the others come on top of them: the answer was forced,
there is none, an epoch was malformed, the comparison with the known answer took too long."""


def outcomes(trials: Sequence[Trial]) -> dict[str, Share]:
    """The share of trials with each outcome."""
    return {name: Share(sum(map(holds, trials)), len(trials)) for name, holds in OUTCOMES.items()}
