"""What a verifier is given, what it says, and how one is asked: a plain function, a coroutine function, or both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from inftythink_graph.errors import InvalidInputError

if TYPE_CHECKING:
    from inftythink_graph.state import Usage

__all__ = ["NO_ANSWER", "Candidate", "DualVerifier", "Verdict", "Verifier", "averdict_of", "verdict_of"]

NO_ANSWER = "The conclusion states no answer."
"""Why verifiers that look at the answer alone turn a conclusion down that has none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer that is up for acceptance.

    Attributes:
        question: the question's text.
        answer: the answer extracted from the conclusion; None where none was found.
        conclusion: the model's closing text.
        epoch: the 1-based epoch that it was reached in.
    """

    question: str
    answer: str | None
    conclusion: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is accepted and, if not, why.

    Attributes:
        accepted: the run ends with this answer.
        reason: why not; the model reads it in its next summary (``on_rejected="note"``), and the trace keeps it.
        usage: what judging took, where a model judged and it is known; the run returns the sum as ``verifier_usage``.
    """

    accepted: bool
    reason: str = ""
    usage: Usage | None = None


@runtime_checkable
class DualVerifier(Protocol):
    """A verifier for both kinds of runs: called in ``invoke`` and ``stream``, awaited in their asynchronous twins."""

    def __call__(self, candidate: Candidate) -> Verdict | bool:
        """Judge a candidate; may block."""
        ...

    async def averify(self, candidate: Candidate) -> Verdict | bool:
        """Judge a candidate without blocking the event loop."""
        ...


Verifier: TypeAlias = Callable[[Candidate], Verdict | bool | Awaitable[Verdict | bool]] | DualVerifier
"""Judges a candidate.

A plain function serves all runs, asynchronous ones in a thread of its own. A coroutine function serves asynchronous
runs only. An object with ``__call__`` and ``averify`` (:class:`DualVerifier`) does each in its own way.
"""


def verdict_of(verifier: Verifier, candidate: Candidate) -> Verdict:
    """Have a verifier judge, blocking. What it raises comes through unchanged.

    Raises:
        InvalidInputError: the verifier is asynchronous, or returned no verdict.
    """
    outcome = verifier(candidate)
    if inspect.isawaitable(outcome):
        if inspect.iscoroutine(outcome):
            outcome.close()
        raise InvalidInputError("the verifier is asynchronous: use ainvoke/astream, or give a plain function")
    return _verdict(verifier, outcome)


async def averdict_of(verifier: Verifier, candidate: Candidate) -> Verdict:
    """As :func:`verdict_of`, without blocking the event loop."""
    outcome: Any
    if isinstance(verifier, DualVerifier):
        outcome = await verifier.averify(candidate)
    elif inspect.iscoroutinefunction(verifier) or inspect.iscoroutinefunction(
        getattr(verifier, "__call__", None)  # noqa: B004 - a callable object may be a coroutine function
    ):
        outcome = verifier(candidate)
    else:  # a plain function may block: off the event loop with it
        outcome = await asyncio.to_thread(verifier, candidate)
    return _verdict(verifier, await outcome if inspect.isawaitable(outcome) else outcome)


def _verdict(verifier: Verifier, outcome: Any) -> Verdict:
    if isinstance(outcome, Verdict):
        return outcome
    # A forgotten return, or a tuple that is true whatever it holds, must not pass for a decision.
    if outcome is None or not hasattr(outcome, "__bool__"):
        name = getattr(verifier, "__name__", type(verifier).__name__)
        raise InvalidInputError(f"the verifier {name} returned {outcome!r:.100}; allowed: a Verdict, or True or False")
    return Verdict(bool(outcome), "" if outcome else "the check failed")
