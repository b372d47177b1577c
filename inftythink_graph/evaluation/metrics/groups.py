"""Accuracy by what is known of the questions: subject, level, family, depth."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics.accuracy import mean_at_n
from inftythink_graph.evaluation.metrics.estimates import Estimate
from inftythink_graph.evaluation.trials import Question, Trial

__all__ = ["DepthGroup", "Group", "accuracy_by", "accuracy_by_depth"]


@dataclass(frozen=True, slots=True)
class Group:
    """The questions that have one value of a key in common.

    Attributes:
        name: the value.
        accuracy: over these questions.
        trials: how many trials they have.
    """

    name: str
    accuracy: Estimate
    trials: int


@dataclass(frozen=True, slots=True)
class DepthGroup:
    """The questions whose chain of thought is about as deep.

    Attributes:
        low: their depth is above this, in windows.
        high: and at most this.
        depth: mean depth of those with trials, in windows.
        accuracy: over these questions.
        trials: how many trials they have.
    """

    low: int
    high: int
    depth: float
    accuracy: Estimate
    trials: int


def _split(
    trials: Iterable[Trial], questions: Iterable[Question], key_of: Callable[[Question], Any]
) -> dict[Any, list[Trial]]:
    keys = {question.id: key_of(question) for question in questions}
    found: dict[Any, list[Trial]] = {}
    for trial in trials:
        if (key := keys.get(trial["question"])) is not None:
            found.setdefault(key, []).append(trial)
    return found


def _order(name: str) -> tuple[bool, float, str]:
    """Numbers in their order before words in theirs."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def accuracy_by(trials: Sequence[Trial], questions: Sequence[Question], key: str) -> list[Group]:
    """Accuracy for every value that questions have under ``key`` of their ``meta``; those without it are left out."""

    def value(question: Question) -> str | None:
        found = question.meta.get(key)
        return None if found is None else str(found)

    found = _split(trials, questions, value)
    return [Group(name, mean_at_n(found[name]), len(found[name])) for name in sorted(found, key=_order)]


def accuracy_by_depth(trials: Sequence[Trial], questions: Sequence[Question], window: int = 1) -> list[DepthGroup]:
    """Accuracy by depth: ``depth_tokens`` of a question's ``meta`` in multiples of a window.

    The groups are up to 1 window, above 1 up to 2, above 2 up to 4, and so on; those without questions are left out.

    Args:
        trials: of one run.
        questions: of that run; those without a depth are left out.
        window: tokens of a context window; 1 for depths in tokens.

    Raises:
        InvalidInputError: the window is below 1.
    """
    if window < 1:
        raise InvalidInputError(f"window must be at least 1 token, got {window}")
    depths = {q.id: q.meta["depth_tokens"] / window for q in questions if q.meta.get("depth_tokens") is not None}

    def high(question: Question) -> int | None:
        if question.id not in depths:
            return None
        edge = 1
        while edge < depths[question.id]:
            edge *= 2
        return edge

    found = _split(trials, questions, high)
    return [
        DepthGroup(
            low=edge // 2,
            high=edge,
            depth=statistics.fmean(depths[name] for name in {trial["question"] for trial in found[edge]}),
            accuracy=mean_at_n(found[edge]),
            trials=len(found[edge]),
        )
        for edge in sorted(found)
    ]
