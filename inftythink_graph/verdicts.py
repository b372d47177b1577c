"""What a verifier is given and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Candidate", "Verdict", "Verifier"]


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
    """Whether an answer is accepted and, if not, why; the model reads the reason in its next summary."""

    accepted: bool
    reason: str = ""


Verifier: TypeAlias = Callable[[Candidate], Verdict | bool | Awaitable[Verdict | bool]]
"""Judges a candidate. May be a coroutine function; a plain function runs off the event loop in asynchronous runs."""
