"""What the paths of one run know of one another while they run: the ballot.

It lives in the memory of one call of the graph, handed down in the config's ``configurable``; nothing of it is ever
part of a state or a checkpoint. A run that is resumed starts a new one, which has not seen the votes of paths that had
ended before: it can then only stop fewer paths, never the wrong ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from inftythink_graph.usage import Usage, no_usage
from inftythink_graph.voting import Equal, Vote, equivalent, grouped, is_decided

__all__ = ["BALLOT_KEY", "Ballot", "ballot_in"]

BALLOT_KEY = "inftythink_ballot"
"""The key of ``configurable`` that holds a run's ballot."""


class Ballot:
    """The votes of one run so far. Every method may be called from any thread.

    ``over`` never blocks, so it may be asked on an event loop. ``end`` compares answers, which may take algebra: call
    it in a thread. Comparisons are made outside the lock, on what was known when they began; because a decision is
    never taken back, the order in which they end doesn't matter.

    Args:
        equal: whether two answers mean the same.
    """

    def __init__(self, equal: Equal = equivalent) -> None:
        self._equal = equal
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], bool] = {}
        self._votes: list[Vote] = []
        self._ended = 0
        self._decided = False
        self._error: BaseException | None = None
        self._progress: dict[int, tuple[int, Usage]] = {}
        self._started = time.perf_counter()

    @property
    def decided(self) -> bool:
        """Whether the remaining paths can't change the outcome."""
        return self._decided

    @property
    def seconds(self) -> float:
        """Wall-clock time since the ballot was opened."""
        return time.perf_counter() - self._started

    def over(self) -> bool:
        """Whether a path should stop here: the outcome is decided.

        Raises:
            BaseException: what another path failed with; the run as a whole fails with it.
        """
        if self._error is not None:
            raise self._error
        return self._decided

    def fail(self, error: BaseException) -> None:
        """Have the other paths fail as well, when they next ask, instead of thinking on for nothing."""
        with self._lock:
            self._error = self._error or error

    def note(self, path: int, epochs: int, usage: Usage) -> None:
        """Remember how far a path is, and what it took."""
        self._progress[path] = (epochs, usage)

    def progress(self, path: int) -> tuple[int, Usage]:
        """The last that was noted of a path."""
        return self._progress.get(path, (0, no_usage()))

    def equal(self, left: str, right: str) -> bool:
        """Whether two answers mean the same; every pair is compared once."""
        if left == right:
            return True
        key = (min(left, right), max(left, right))
        if key not in self._known:
            self._known[key] = self._equal(*key)
        return self._known[key]

    def end(self, vote: Vote | None, *, of: int, accepted: bool = False) -> int:
        """A path has ended.

        Args:
            vote: its answer; None if it has none that counts.
            of: how many paths the run has.
            accepted: a verifier accepted it, which settles the outcome.

        Returns:
            Its place in the order of ending, from 1.
        """
        with self._lock:
            self._ended += 1
            place = self._ended
            if vote is not None:
                self._votes.append(vote)
            votes, pending = tuple(self._votes), of - self._ended
            self._decided = self._decided or accepted
        # With no more votes than paths to come nothing can be decided, and nothing need be compared.
        if not self._decided and len(votes) > pending > 0:
            sizes = [group.size for group in grouped(votes, self.equal)]
            if is_decided(sizes, pending):
                self._decided = True
        return place


def ballot_in(config: Mapping[str, Any] | None) -> Ballot | None:
    """The ballot of the run that a config belongs to; None where it isn't one of several paths."""
    found = ((config or {}).get("configurable") or {}).get(BALLOT_KEY)
    return found if isinstance(found, Ballot) else None
