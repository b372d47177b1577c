"""Whether two runs on the same problems differ by more than chance.

Problems differ far more in how hard they are than runs do in how good they are. So the runs are compared problem by
problem: what is tested is the difference of the two per-problem means (Miller 2024, arXiv 2411.00640).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics.estimates import Estimate, by_problem, estimate
from inftythink_graph.evaluation.metrics.resampling import bootstrap_interval, mcnemar_exact, sign_flip_test
from inftythink_graph.evaluation.trials import Question, Run, Trial

__all__ = [
    "McNemar",
    "PairedComparison",
    "compare_runs",
    "compare_trials",
]


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test of two runs with one sample for each problem.

    Attributes:
        left_only: problems that only the left run solved.
        right_only: problems that only the right run solved.
        p_value: two-sided.
    """

    left_only: int
    right_only: int
    p_value: float


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two runs on the same problems.

    Attributes:
        left, right: accuracy of each on the problems that are compared.
        difference: right minus left, with the standard error of paired differences.
        interval: bootstrap confidence interval of the difference; None with fewer than two problems.
        level: its confidence level.
        p_value: of the sign-flip permutation test, two-sided.
        exact: the test went through all permutations, not through a sample of them.
        mcnemar: where both runs have one sample for each problem.
        left_out: problems that only one of the two runs has.
    """

    left: Estimate
    right: Estimate
    difference: Estimate
    interval: tuple[float, float] | None
    level: float
    p_value: float
    exact: bool
    mcnemar: McNemar | None
    left_out: int


def _means(trials: Sequence[Trial]) -> dict[str, Fraction]:
    return {
        question: Fraction(sum(trial["correct"] for trial in group), len(group))
        for question, group in by_problem(trials).items()
    }


def compare_trials(
    left: Sequence[Trial],
    right: Sequence[Trial],
    *,
    shared_only: bool = False,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Compare two runs problem by problem.

    Args:
        left: trials of one run.
        right: trials of the other, on the same problems; the numbers of samples may differ.
        shared_only: compare the problems that both have, and leave out the others.
        level: of the confidence interval.
        resamples: draws of the bootstrap, and ten times as many of the permutation test where it can't be exact.
        seed: of all draws.

    Raises:
        InvalidInputError: the problems differ and ``shared_only`` isn't set, or none is shared.
    """
    ours, theirs = _means(left), _means(right)
    shared = [question for question in ours if question in theirs]
    left_out = len(ours) + len(theirs) - 2 * len(shared)
    counts = f"{len(shared):,} shared of {len(ours):,} in the one and {len(theirs):,} in the other"
    if not shared:
        raise InvalidInputError(f"the runs can't be compared: they have no problem in common ({counts})")
    if left_out and not shared_only:
        raise InvalidInputError(f"the runs have different problems ({counts}): ask for the shared ones only")
    differences = [theirs[question] - ours[question] for question in shared]
    floats = [float(each) for each in differences]
    p_value, exact = sign_flip_test(differences, resamples=10 * resamples, seed=seed)
    return PairedComparison(
        left=estimate([float(ours[question]) for question in shared]),
        right=estimate([float(theirs[question]) for question in shared]),
        difference=estimate(floats),
        interval=bootstrap_interval(floats, level=level, resamples=resamples, seed=seed),
        level=level,
        p_value=p_value,
        exact=exact,
        mcnemar=_mcnemar(differences) if _single(left) and _single(right) else None,
        left_out=left_out,
    )


def _single(trials: Sequence[Trial]) -> bool:
    return all(len(group) == 1 for group in by_problem(trials).values())


def _mcnemar(differences: Sequence[Fraction]) -> McNemar:
    left_only, right_only = sum(each < 0 for each in differences), sum(each > 0 for each in differences)
    return McNemar(left_only, right_only, mcnemar_exact(left_only, right_only))


def compare_runs(
    left: Run,
    right: Run,
    *,
    shared_only: bool = False,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """As :func:`compare_trials`, for two runs on one task.

    Raises:
        InvalidInputError: as there; or the tasks differ, or a question isn't the same in both.
    """
    if left.task != right.task:
        raise InvalidInputError(f"runs are compared on one task, got {left.task!r} and {right.task!r}")
    _same_questions(left.questions, right.questions, left.task)
    return compare_trials(
        left.trials, right.trials, shared_only=shared_only, level=level, resamples=resamples, seed=seed
    )


def _same_questions(left: Sequence[Question], right: Sequence[Question], task: str) -> None:
    # Options of multiple choice may be shuffled otherwise: the problem is the same, its text and letter aren't.
    texts = {question.id: (question.text, question.gold) for question in left if question.kind == "math"}
    for question in right:
        if question.id in texts and question.kind == "math" and texts[question.id] != (question.text, question.gold):
            raise InvalidInputError(f"question {question.id!r} of {task} isn't the same in both runs")
