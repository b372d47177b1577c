"""mean@n, maj@n and pass@k."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from inftythink_graph._normalization import stated_choice
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics.estimates import Estimate, by_problem, estimate, estimate_of
from inftythink_graph.evaluation.trials import AnswerKind, Trial
from inftythink_graph.voting import Equal, Vote, equivalent, grouped

__all__ = ["maj_at_n", "majority_score", "mean_at_n", "pass_at_k", "pass_at_powers", "unbiased_pass_at_k"]


def mean_at_n(trials: Sequence[Trial]) -> Estimate:
    """Accuracy: the mean over problems of the share of a problem's samples that are correct.

    Problems count alike, however many samples they have; one without any is left out
    (:func:`~inftythink_graph.evaluation.metrics.coverage` says how many trials are missing).
    """
    return estimate_of(trials, lambda trial: trial["correct"])


def unbiased_pass_at_k(samples: int, correct: int, k: int) -> float:
    """The chance that at least one of ``k`` samples, drawn without replacement, is correct.

    1 - C(n - c, k) / C(n, k): the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, equation 1).

    Raises:
        InvalidInputError: k is below 1 or above the number of samples, or more are correct than there are.
    """
    if not 1 <= k <= samples or not 0 <= correct <= samples:
        raise InvalidInputError(f"pass@{k} of {correct} correct out of {samples} samples: need 1 <= k <= samples")
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k)


def pass_at_k(trials: Sequence[Trial], k: int) -> Estimate:
    """Unbiased pass@k over the problems that have at least ``k`` samples.

    Raises:
        InvalidInputError: k is below 1.
    """
    if k < 1:
        raise InvalidInputError(f"k of pass@k must be at least 1, got {k}")
    groups = [group for group in by_problem(trials).values() if len(group) >= k]
    return estimate([unbiased_pass_at_k(len(group), sum(trial["correct"] for trial in group), k) for group in groups])


def pass_at_powers(trials: Sequence[Trial]) -> dict[int, Estimate]:
    """Unbiased pass@k for k = 1, 2, 4, ... up to the most samples that a problem has."""
    most = max((len(group) for group in by_problem(trials).values()), default=0)
    return {1 << power: pass_at_k(trials, 1 << power) for power in range(most.bit_length())}


def _same_choice(left: str, right: str) -> bool:
    letters = stated_choice(left), stated_choice(right)  # as scoring reads them: "(C) red" is a vote for C
    return letters[0] == letters[1] if None not in letters else left == right


def majority_score(group: Sequence[Trial], equal: Equal = equivalent) -> float:
    """How often the majority of one problem's samples is right, when ties are broken at random.

    Samples without an answer cast no vote; without any vote the score is 0. Answers that are correct mean the same,
    because all of them equal the known one, and none of them means the same as a wrong one; only wrong answers are
    compared with one another. Where several groups are the largest, each is as likely to win: the score is the share of
    them that is correct.
    """
    right = {trial["answer"] for trial in group if trial["correct"]}

    def same(left: str, other: str) -> bool:
        if left == other or left in right or other in right:
            return left == other or (left in right and other in right)
        return equal(left, other)

    votes = [Vote(index, trial["answer"], 0) for index, trial in enumerate(group) if trial["answer"] is not None]
    groups = grouped(votes, same)
    leading = [each for each in groups if each.size == groups[0].size]
    return sum(each.best.answer in right for each in leading) / len(leading) if leading else 0.0


def maj_at_n(
    trials: Sequence[Trial], kinds: Mapping[str, AnswerKind] | None = None, *, equal: Equal = equivalent
) -> Estimate:
    """Accuracy of the majority's answer (self-consistency, Wang et al. 2022, arXiv 2203.11171), over all samples.

    Votes, ties and problems without a vote are those of :func:`majority_score`. Evaluation codes take of tied answers
    the one that was sampled first (Qwen2.5-Math, verl). Samples being exchangeable, that picks every one of them with
    the same probability: the score here is the expectation of theirs, and does not depend on the order of the samples.

    Args:
        trials: of one run.
        kinds: how the answers to a question are compared, by its id; ``math`` where it isn't given. Answers to
            multiple choice are compared by their letter.
        equal: how answers to other questions are.
    """
    known = kinds or {}
    return estimate(
        [
            majority_score(group, _same_choice if known.get(question) == "choice" else equal)
            for question, group in by_problem(trials).items()
        ]
    )
