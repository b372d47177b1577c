"""When a run makes no progress: summaries that come again, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, TypeAlias

__all__ = ["MEMORY", "OnStall", "heated", "is_stalled", "note_summary"]

OnStall: TypeAlias = Literal["end", "heat"]
"""What becomes of a run whose summaries come again.

``end``: it ends, as one that is out of epochs. ``heat``: it goes on at a higher temperature, and ends if that doesn't
help either.
"""

MEMORY = 8
"""Summaries that are remembered, so that a run that goes round in a circle of as many is noticed."""


def _digest(summary: str) -> str:
    return blake2b(" ".join(summary.split()).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def note_summary(recent: Sequence[str], before: str, summary: str) -> tuple[list[str], bool]:
    """Remember a summary.

    Args:
        recent: what was remembered so far.
        before: the summary that the epoch started from.
        summary: the one that it ended with.

    Returns:
        What is to be remembered, and whether the summary was there before, white space aside.
    """
    digest = _digest(summary)
    again = summary == before or digest in recent
    return [*(each for each in recent if each != digest), digest][-MEMORY:], again


def heated(repeats: int, *, stall_after: int, on_stall: OnStall) -> bool:
    """Whether the next epoch is sampled at the higher temperature."""
    return on_stall == "heat" and repeats >= stall_after


def is_stalled(repeats: int, *, stall_after: int, on_stall: OnStall) -> bool:
    """Whether a run ends for want of progress, after so many summaries in a row that were there before."""
    return repeats >= (2 * stall_after if on_stall == "heat" else stall_after)
