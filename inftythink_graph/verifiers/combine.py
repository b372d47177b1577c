"""Several verifiers as one: ``all_of`` and ``any_of``. They ask in order, and no more of them than it takes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.state import Usage, add_usage
from inftythink_graph.verdicts import Candidate, Verdict, Verifier, averdict_of, verdict_of

__all__ = ["CombinedVerifier", "all_of", "any_of"]

Asking: TypeAlias = Generator[Verifier, Verdict, Verdict]


def _together(left: Usage | None, right: Usage | None) -> Usage | None:
    return add_usage(left, right) if left and right else left or right


@dataclass(frozen=True, slots=True)
class CombinedVerifier:
    """Verifiers that decide together. Made by :func:`all_of` and :func:`any_of`.

    Attributes:
        verifiers: in the order in which they are asked.
        needed: ``all`` of them must accept, or ``any`` one.
    """

    verifiers: tuple[Verifier, ...]
    needed: Literal["all", "any"]

    def _ask(self, candidate: Candidate) -> Asking:
        usage: Usage | None = None
        reasons: list[str] = []
        for verifier in self.verifiers:
            verdict = yield verifier
            usage = _together(usage, verdict.usage)
            if verdict.accepted == (self.needed == "any"):  # this one settles it
                return replace(verdict, usage=usage)
            if not verdict.accepted and verdict.reason and verdict.reason not in reasons:
                reasons.append(verdict.reason)
        return Verdict(self.needed == "all", " ".join(reasons), usage)

    def __call__(self, candidate: Candidate) -> Verdict:
        """Judge a candidate, blocking; an asynchronous verifier among them can't be asked so."""
        asking = self._ask(candidate)
        verifier = next(asking)  # there is one at least
        while True:
            verdict = verdict_of(verifier, candidate)
            try:
                verifier = asking.send(verdict)
            except StopIteration as end:
                return end.value

    async def averify(self, candidate: Candidate) -> Verdict:
        """Judge a candidate without blocking the event loop."""
        asking = self._ask(candidate)
        verifier = next(asking)
        while True:
            verdict = await averdict_of(verifier, candidate)
            try:
                verifier = asking.send(verdict)
            except StopIteration as end:
                return end.value


def _combined(needed: Literal["all", "any"], verifiers: tuple[Verifier, ...]) -> CombinedVerifier:
    if not verifiers or not all(callable(verifier) for verifier in verifiers):
        given = ", ".join(type(verifier).__name__ for verifier in verifiers) or "none"
        raise InvalidInputError(f"{needed}_of needs verifiers, one at least, each of them callable; got {given}")
    return CombinedVerifier(verifiers, needed)


def all_of(*verifiers: Verifier) -> CombinedVerifier:
    """A verifier that accepts what all of these accept. The first rejection counts, and the rest isn't asked.

    Put the cheap ones first: a judge then reads only what passed them.

    Raises:
        InvalidInputError: no verifier is given, or something that isn't callable.
    """
    return _combined("all", verifiers)


def any_of(*verifiers: Verifier) -> CombinedVerifier:
    """A verifier that accepts what one of these accepts. The first acceptance counts, and the rest isn't asked.

    Where all reject, the reason is all of their reasons together.

    Raises:
        InvalidInputError: no verifier is given, or something that isn't callable.
    """
    return _combined("any", verifiers)
