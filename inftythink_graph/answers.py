"""Answers: finding them in a model's conclusion, comparing them with a known one, verifying them in a run.

Comparing takes the text alone where that is exact (numbers, units, letters, words), and math-verify in processes of its
own for the rest (extra ``evaluation``). All of it works in any thread and in a running event loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from inftythink_graph._extraction import extract_answer
from inftythink_graph._math_pool import MissingExtraError, WorkerError, require_math_verify, shared_pool
from inftythink_graph._normalization import choice_letter, decide, is_plain
from inftythink_graph._tidy import Comparison, Undecided
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.verdicts import NO_ANSWER, Candidate, Verdict

__all__ = [
    "DEFAULT_TIMEOUT",
    "Comparison",
    "GoldVerifier",
    "MissingExtraError",
    "WorkerError",
    "aanswers_equal",
    "acompare",
    "answers_equal",
    "choice_letter",
    "compare",
    "extract_answer",
    "gold_verifier",
]

DEFAULT_TIMEOUT = 5.0
"""Seconds of CPU time that one comparison may take; an ordinary one takes a few hundredths."""


def _decided(candidate: str | None, gold: str, timeout: float) -> Comparison | Undecided:
    if timeout <= 0:
        raise InvalidInputError(f"timeout must be above 0 seconds, got {timeout}")
    return Comparison.DIFFERENT if candidate is None else decide(candidate, gold)


def compare(candidate: str | None, gold: str, *, timeout: float = DEFAULT_TIMEOUT) -> Comparison:
    """Whether two answers mean the same.

    A missing unit, base or modulus is forgiven, a wrong one isn't; 50% equals 50 and 0.5; a rounded decimal equals the
    exact number from six places on; the order counts in tuples, the ends in intervals, neither in sets and bare lists;
    a vector may be written as a tuple. The page on evaluation tasks lists all rules.

    Args:
        candidate: the answer to judge; None, for no answer, differs from everything.
        gold: the known answer.
        timeout: seconds of CPU time for the algebra, where it takes any. A process that gives no sign of life for
            several times as long on the clock is replaced, and the comparison tried once more with a longer limit.

    Raises:
        InvalidInputError: the timeout isn't above 0.
        MissingExtraError: the comparison takes algebra, and math-verify isn't installed.
        WorkerError: the process for the algebra can't be started.
    """
    decided = _decided(candidate, gold, timeout)
    if isinstance(decided, Comparison):
        return decided
    return shared_pool().compare(decided.candidate, decided.gold, timeout)


async def acompare(candidate: str | None, gold: str, *, timeout: float = DEFAULT_TIMEOUT) -> Comparison:  # noqa: ASYNC109 - CPU time
    """As :func:`compare`, without blocking the event loop."""
    decided = _decided(candidate, gold, timeout)
    if isinstance(decided, Comparison):
        return decided
    pool = shared_pool()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool.threads, pool.compare, decided.candidate, decided.gold, timeout)


def answers_equal(candidate: str | None, gold: str, *, timeout: float = DEFAULT_TIMEOUT) -> bool:
    """Whether :func:`compare` says that two answers are equal; a timeout counts as different."""
    return compare(candidate, gold, timeout=timeout) is Comparison.EQUAL


async def aanswers_equal(candidate: str | None, gold: str, *, timeout: float = DEFAULT_TIMEOUT) -> bool:  # noqa: ASYNC109 - CPU time
    """As :func:`answers_equal`, without blocking the event loop."""
    return await acompare(candidate, gold, timeout=timeout) is Comparison.EQUAL


@dataclass(frozen=True, slots=True)
class GoldVerifier:
    """Accepts the answers that are equal to ``gold``. Made by :func:`gold_verifier`.

    Attributes:
        gold: the known answer.
        timeout: as in :func:`compare`.
    """

    gold: str
    timeout: float = DEFAULT_TIMEOUT

    def __call__(self, candidate: Candidate) -> Verdict:
        """Judge a candidate. The reason of a rejection never tells the known answer: the model reads it."""
        return self._verdict(candidate.answer, compare(candidate.answer, self.gold, timeout=self.timeout))

    async def averify(self, candidate: Candidate) -> Verdict:
        """As a call, without blocking the event loop, and in threads that only comparisons take."""
        return self._verdict(candidate.answer, await acompare(candidate.answer, self.gold, timeout=self.timeout))

    def _verdict(self, answer: str | None, result: Comparison) -> Verdict:
        if answer is None:
            return Verdict(False, NO_ANSWER)
        if result is Comparison.EQUAL:
            return Verdict(True)
        shown = answer if len(answer) <= 100 else f"{answer[:100]}..."
        if result is Comparison.TIMED_OUT:
            return Verdict(False, f"The answer {shown} could not be checked in time; write it in its simplest form.")
        return Verdict(False, f"The answer {shown} is not correct.")


def gold_verifier(gold: str, *, timeout: float = DEFAULT_TIMEOUT) -> GoldVerifier:
    """A verifier for ``create_inftythink_graph`` that accepts what is equal to a known answer.

    Equal is what :func:`compare` calls so: by algebra, with math-verify, where the text alone doesn't tell. For
    equality of the text or the number alone, take :func:`~inftythink_graph.verifiers.exact_verifier`.

    Raises:
        InvalidInputError: the known answer is empty, or the timeout isn't above 0.
        MissingExtraError: the known answer is neither number, letter nor word, and math-verify isn't installed.
    """
    if not gold.strip():
        raise InvalidInputError("the known answer is empty: give the answer that a candidate must be equal to")
    if timeout <= 0:
        raise InvalidInputError(f"timeout must be above 0 seconds, got {timeout}")
    if not is_plain(gold):
        require_math_verify()  # now, and not in the middle of a run
    return GoldVerifier(gold, timeout)
