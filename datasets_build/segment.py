"""Cutting a long chain of thought into segments of at most eta tokens (Yan et al. 2025, arXiv 2503.06692, section 3.2).

A chain is a sequence of units (lines, paragraphs, sentences) that are never broken up; consecutive units are packed
into a segment as long as the segment's own text, joints included, stays within eta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

__all__ = ["Counter", "pack_units"]

Counter: TypeAlias = Callable[[Sequence[str]], list[int]]
"""The number of tokens of each of several texts, by the target model's tokenizer."""


def _exact(units: Sequence[str], start: int, eta: int, count: Counter, joint: str) -> int:
    """Where the segment from ``start`` must stop, measuring the joined text after every unit."""
    stop, text = start + 1, units[start]
    while stop < len(units) and count([text + joint + units[stop]])[0] <= eta:
        text += joint + units[stop]
        stop += 1
    return stop


def pack_units(units: Sequence[str], eta: int, count: Counter, *, joint: str = "\n") -> list[range]:
    """Pack units greedily into segments.

    Args:
        units: the chain's units, in order. ``joint.join(units)`` is the chain.
        eta: the most tokens that a segment may have; at least 1.
        count: token counts of several texts at once.
        joint: what stands between two units.

    Returns:
        For each segment the range of its units. The ranges follow one another and cover all units: segment i is
        ``joint.join(units[k] for k in ranges[i])``, of at most eta tokens as counted on that very text.

    Raises:
        ValueError: eta is below 1, or one unit alone has more than eta tokens.
    """
    if eta < 1:
        raise ValueError(f"eta must be at least 1, got {eta}")
    *sizes, joint_size = count([*units, joint])
    for unit, size in zip(units, sizes, strict=True):
        if size > eta:
            raise ValueError(f"one unit alone has {size} tokens, more than eta = {eta}: {unit[:80]!r}")
    # Sums of parts first: two tokenizer calls a chain. A tokenizer may split joined text differently from its parts,
    # so every segment is then measured as it stands, and packed exactly where the sum was too low.
    ranges: list[range] = []
    start, total = 0, 0
    for index, size in enumerate(sizes):
        grown = total + joint_size + size if index > start else size
        if index > start and grown > eta:
            ranges.append(range(start, index))
            start, grown = index, size
        total = grown
    if units:
        ranges.append(range(start, len(units)))
    measured = count([joint.join(units[i] for i in span) for span in ranges]) if ranges else []
    if all(size <= eta for size in measured):
        return ranges
    exact: list[range] = []
    start = 0
    while start < len(units):
        exact.append(range(start, _exact(units, start, eta, count, joint)))
        start = exact[-1].stop
    return exact
