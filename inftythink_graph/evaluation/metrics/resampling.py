"""Exact and resampled statistics of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from inftythink_graph.errors import InftyThinkError, InvalidInputError

__all__ = ["bootstrap_interval", "mcnemar_exact", "sign_flip_test"]

_MOST_STEPS = 100_000_000
"""Additions up to which the permutation test is exact; fractions of a second."""
_BATCH = 2_000_000
"""Numbers drawn at once, which bounds the memory."""


def mcnemar_exact(left_only: int, right_only: int) -> float:
    """Two-sided p-value of McNemar's test from the binomial distribution itself (McNemar 1947).

    Under the null hypothesis each problem that only one of the runs solved is a fair coin.
    """
    discordant = left_only + right_only
    tail = sum(math.comb(discordant, count) for count in range(min(left_only, right_only) + 1))
    return min(2 * tail / 2**discordant, 1.0)


def _whole(differences: Sequence[Fraction]) -> list[int]:
    """The differences that aren't 0, as whole multiples of the largest step that all of them share."""
    scale = math.lcm(*(each.denominator for each in differences))
    steps = [int(each * scale) for each in differences if each]
    shared = math.gcd(*steps) or 1
    return [step // shared for step in steps]


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as error:
        raise InftyThinkError("comparing runs needs numpy; pip install 'inftythink-graph[evaluation]'") from error
    return numpy


def sign_flip_test(
    differences: Sequence[Fraction], *, resamples: int = 100_000, seed: int = 0, most_steps: int = _MOST_STEPS
) -> tuple[float, bool]:
    """Permutation test of paired differences: is their sum as far from 0 as under random signs?

    If the runs are alike, a problem's difference is as likely to have the other sign. The distribution of the sum over
    all 2^n choices of signs comes from adding the problems one by one, so the test is exact for hundreds of problems;
    only where the differences have too large a common denominator are signs drawn at random.

    Args:
        differences: one for each problem.
        resamples: how many choices of signs are drawn where the test can't be exact.
        seed: of these draws.
        most_steps: additions up to which the test is exact.

    Returns:
        The two-sided p-value, and whether it is exact. Drawn at random, it is (1 + hits) / (1 + resamples), which is
        never 0 (Phipson and Smyth 2010).
    """
    np = _numpy()
    steps = _whole(differences)
    if not steps:
        return 1.0, True
    observed, reach = abs(sum(steps)), sum(map(abs, steps))
    if len(steps) * reach <= most_steps:
        # The sum under random signs is twice the sum of a random subset of the sizes, less the sum of all.
        chance = np.zeros(reach + 1)
        chance[0] = 1.0
        for size in map(abs, steps):
            moved = np.zeros_like(chance)
            moved[size:] = chance[: reach + 1 - size]
            chance = (chance + moved) / 2
        sums = 2 * np.arange(reach + 1) - reach
        return min(float(chance[np.abs(sums) >= observed].sum()), 1.0), True
    rng = np.random.default_rng(seed)
    sizes = np.array(steps, dtype=np.int64)
    hits = 0
    for batch in _batches(resamples, len(steps)):
        signs = 2 * rng.integers(0, 2, size=(batch, len(steps)), dtype=np.int8) - 1
        hits += int((np.abs(signs @ sizes) >= observed).sum())
    return (1 + hits) / (1 + resamples), False


def _batches(total: int, width: int) -> list[int]:
    size = max(_BATCH // width, 1)
    return [min(size, total - start) for start in range(0, total, size)]


def bootstrap_interval(
    differences: Sequence[float], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean: problems are drawn with replacement (Efron 1979).

    Args:
        differences: one for each problem.
        level: confidence level, between 0 and 1.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        Its two ends; None with fewer than two problems.

    Raises:
        InvalidInputError: the level isn't between 0 and 1.
    """
    if not 0 < level < 1:
        raise InvalidInputError(f"the confidence level must be between 0 and 1, got {level}")
    np = _numpy()
    if len(differences) < 2:
        return None
    rng = np.random.default_rng(seed)
    values = np.array(differences, dtype=float)
    means = [
        values[rng.integers(0, len(values), size=(batch, len(values)))].mean(axis=1)
        for batch in _batches(resamples, len(values))
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
