"""Scoring: how an answer compares with the known one of its question.

Mathematics is compared as :func:`inftythink_graph.answers.compare` does. Of multiple choice the letter counts, alone or
before the option's text. An answer without a letter counts as the option whose text it is, if it is that of one option
alone; whoever writes the text of the right option out has found it, and a text that fits two has named neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from inftythink_graph._normalization import decide, stated_choice
from inftythink_graph.answers import DEFAULT_TIMEOUT, Comparison, acompare, compare
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.choices import LETTERS
from inftythink_graph.evaluation.trials import Question, Scoring

__all__ = ["ascore", "chosen_letter", "score"]

_SCORINGS: dict[Comparison, Scoring] = {
    Comparison.EQUAL: "equal",
    Comparison.DIFFERENT: "different",
    Comparison.TIMED_OUT: "timed_out",
}


def chosen_letter(answer: str, options: Sequence[str] = ()) -> str | None:
    """The letter that an answer to a multiple-choice question comes to; None where it names no option, or several.

    Args:
        answer: as it was extracted.
        options: the options' texts in the order shown, where they are known.
    """
    letter = stated_choice(answer)
    if letter is not None:
        return letter if not options or letter in LETTERS[: len(options)] else None
    # By text alone: an option that only algebra could find equal is not what was written.
    fitting = [
        letter for letter, option in zip(LETTERS, options, strict=False) if decide(answer, option) is Comparison.EQUAL
    ]
    return fitting[0] if len(fitting) == 1 else None


def score(question: Question, answer: str | None, *, timeout: float = DEFAULT_TIMEOUT) -> Scoring:
    """Score an answer, from any thread.

    Args:
        question: with its known answer, and for multiple choice its ``options`` in ``meta``.
        answer: the extracted answer; None, for no answer, is different from everything.
        timeout: seconds of CPU time for the algebra, as in :func:`~inftythink_graph.answers.compare`.

    Raises:
        InvalidInputError: the timeout isn't above 0.
        MissingExtraError: the comparison takes algebra, and math-verify isn't installed.
        WorkerError: the process for the algebra can't be started.
    """
    if question.kind == "choice":
        return _choice(question, answer, timeout)
    return _SCORINGS[compare(answer, question.gold, timeout=timeout)]


async def ascore(question: Question, answer: str | None, *, timeout: float = DEFAULT_TIMEOUT) -> Scoring:  # noqa: ASYNC109 - CPU time
    """As :func:`score`, without blocking the event loop."""
    if question.kind == "choice":
        return _choice(question, answer, timeout)
    return _SCORINGS[await acompare(answer, question.gold, timeout=timeout)]


def _choice(question: Question, answer: str | None, timeout: float) -> Scoring:
    if timeout <= 0:
        raise InvalidInputError(f"timeout must be above 0 seconds, got {timeout}")
    letter = None if answer is None else chosen_letter(answer, question.meta.get("options", ()))
    return "equal" if letter is not None and letter == question.gold else "different"
