"""How long a model's summaries are in tokens, learned from those that were counted.

Counting takes a request to the server, half of what an epoch costs the client. Most summaries of a model are of one
kind, so a few counts say how many tokens its characters make at most.
"""

from __future__ import annotations

__all__ = ["SummaryLengths"]

_LEAST_COUNTED = 3  # counts before any are relied on
_MOST_KEPT = 32  # of the newest counts: summaries change with the questions
_MARGIN = 1.05  # the densest that comes next may be that much denser than the densest that was counted


class SummaryLengths:
    """What the counted summaries of one graph say of the next one; safe to share between runs and threads."""

    def __init__(self) -> None:
        self._densities: tuple[float, ...] = ()  # replaced as a whole: other threads may be reading it

    def counted(self, summary: str, tokens: int) -> None:
        """Take note of a summary that was counted."""
        self._densities = (*self._densities, tokens / max(len(summary), 1))[-_MOST_KEPT:]

    def likely_within(self, summary: str, budget: int) -> bool:
        """Whether a summary is within the budget if it is no denser in tokens than those that were counted."""
        densities = self._densities
        if len(densities) < _LEAST_COUNTED:
            return False
        return _MARGIN * max(densities) * len(summary) <= budget
