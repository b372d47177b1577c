"""The vote over several answers to one question: groups of equivalent answers, and when nothing can change the winner.

Pure functions of the votes and of a comparison. A path that ends without an answer abstains: it counts as ended, for
nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from inftythink_graph.answers import Comparison, MissingExtraError, compare

__all__ = ["CALLS", "Equal", "Group", "Vote", "equivalent", "grouped", "is_decided"]

Equal: TypeAlias = Callable[[str, str], bool]
"""Whether two answers mean the same."""
CALLS = "tool calls "
"""How a vote for tool calls begins."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One path's answer.

    Attributes:
        path: the path's 1-based number.
        answer: its answer.
        epochs: how many epochs it took to get there.
    """

    path: int
    answer: str
    epochs: int


@dataclass(frozen=True, slots=True)
class Group:
    """Votes whose answers are equivalent, the one of the fewest epochs first; there is at least one."""

    votes: tuple[Vote, ...]

    @property
    def best(self) -> Vote:
        """The vote that speaks for the group: fewest epochs, then lowest path."""
        return self.votes[0]

    @property
    def size(self) -> int:
        """Number of votes."""
        return len(self.votes)


def equivalent(left: str, right: str) -> bool:
    """Whether two answers mean the same, whichever of the two is taken for the known one.

    A comparison that takes too long counts as different. So do, where math-verify isn't installed (extra
    ``evaluation``), two spellings that only algebra could tell to be the same. Tool calls are equal to the letter.
    """
    if CALLS in (left[: len(CALLS)], right[: len(CALLS)]):
        return left == right
    try:
        return Comparison.EQUAL in (compare(left, right), compare(right, left))
    except MissingExtraError:
        return False


def _quickness(vote: Vote) -> tuple[int, int]:
    return vote.epochs, vote.path


def grouped(votes: Iterable[Vote], equal: Equal = equivalent) -> list[Group]:
    """The votes in groups of equivalent answers, the winner first.

    Most votes win. Among groups of equal size, the one whose quickest path took the fewest epochs wins, then the one
    with the lowest path number: a path that loses its way tends to wander, and the rule is the same in whatever order
    the paths happened to end.

    Equivalence of answers is almost, but not quite, transitive (50% equals both 50 and 0.5). An answer goes to the
    first group whose first answer it equals, in the order of path numbers, so the groups don't depend on the order of
    the votes either.
    """
    groups: list[list[Vote]] = []
    for vote in sorted(votes, key=lambda vote: vote.path):
        home = next((group for group in groups if equal(vote.answer, group[0].answer)), None)
        if home is None:
            groups.append([vote])
        else:
            home.append(vote)
    ranked = [Group(tuple(sorted(group, key=_quickness))) for group in groups]
    return sorted(ranked, key=lambda group: (-group.size, _quickness(group.best)))


def is_decided(sizes: Sequence[int], pending: int) -> bool:
    """Whether no outcome of the pending paths can change the winner: it can be neither overtaken nor tied.

    A possible tie is open, because the pending path may be the quicker one.

    Args:
        sizes: votes of each group so far, in any order.
        pending: paths that haven't ended.
    """
    if pending == 0:
        return True
    leader, runner_up, *_ = [*sorted(sizes, reverse=True), 0, 0]
    return leader > runner_up + pending
