"""Means over problems with their standard errors, and how much of a run there is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.trials import Trial

__all__ = ["Coverage", "Estimate", "by_problem", "coverage", "estimate", "estimate_of"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems.

    Attributes:
        value: the mean; None where there is no problem.
        error: its standard error, s / sqrt(problems) with the sample's standard deviation s (Miller 2024, arXiv
            2411.00640); None with fewer than two problems.
        problems: how many problems it is over.
    """

    value: float | None
    error: float | None
    problems: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a run there is.

    Attributes:
        questions: how many questions the run has.
        problems: how many of them have at least one trial.
        samples: how many trials each question should have.
        trials: how many trials there are.
        missing: how many there should be besides.
    """

    questions: int
    problems: int
    samples: int
    trials: int
    missing: int


def by_problem(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The trials of each problem in the order of their samples; problems in the order in which they first come.

    Raises:
        InvalidInputError: a sample of a question comes twice.
    """
    found: dict[str, dict[int, Trial]] = {}
    for trial in trials:
        samples = found.setdefault(trial["question"], {})
        if trial["sample"] in samples:
            raise InvalidInputError(
                f"sample {trial['sample']} of question {trial['question']!r} comes twice: the trials must be of one run"
            )
        samples[trial["sample"]] = trial
    return {question: [samples[sample] for sample in sorted(samples)] for question, samples in found.items()}


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one value for each problem."""
    if not values:
        return Estimate(None, None, 0)
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), error, len(values))


def estimate_of(trials: Iterable[Trial], measure: Callable[[Trial], float]) -> Estimate:
    """The mean over problems of each problem's mean of ``measure`` over its trials."""
    groups = by_problem(trials).values()
    return estimate([statistics.fmean(measure(trial) for trial in group) for group in groups])


def coverage(trials: Sequence[Trial], *, questions: int | None = None, samples: int | None = None) -> Coverage:
    """How much of a run there is.

    Args:
        trials: those that there are.
        questions: how many questions the run has; by default those that have trials.
        samples: how many samples were asked for; by default as many as the question with the most has.
    """
    groups = by_problem(trials)
    asked = len(groups) if questions is None else max(questions, len(groups))
    each = max((len(group) for group in groups.values()), default=0)
    each = each if samples is None else max(samples, each)
    return Coverage(asked, len(groups), each, len(trials), asked * each - len(trials))
