"""``exact_verifier``: equality of the answer's text, or of the number that it is; no algebra, no units, no packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.verdicts import NO_ANSWER, Candidate, Verdict

__all__ = ["ExactVerifier", "exact_verifier"]

_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|[+-]?\.\d+")
_FRACTION = re.compile(r"([+-]?\d+)\s*/\s*(\d*[1-9]\d*)")
_LONGEST_SHOWN = 100  # characters of an answer that its rejection repeats


def _number(text: str) -> Fraction | None:
    """The number that a text is: digits, grouped or not, with or without decimals, or a quotient; else None."""
    if _NUMBER.fullmatch(text):
        return Fraction(text.replace(",", ""))
    quotient = _FRACTION.fullmatch(text)
    return Fraction(int(quotient[1]), int(quotient[2])) if quotient else None


def _plain(text: str) -> str:
    """The text without white space at its ends, runs of it as one space, and without dollars around it."""
    text = " ".join(text.split())
    return text[1:-1].strip() if len(text) > 2 and text[0] == text[-1] == "$" else text


@dataclass(frozen=True, slots=True)
class ExactVerifier:
    """Accepts answers that are one of ``answers``, as text or as a number. Made by :func:`exact_verifier`."""

    answers: tuple[str, ...]

    def __call__(self, candidate: Candidate) -> Verdict:
        """Judge a candidate. The reason of a rejection never tells the known answer: the model reads it."""
        if candidate.answer is None:
            return Verdict(False, NO_ANSWER)
        given = _plain(candidate.answer)
        number = _number(given)
        for answer in self.answers:
            if given == answer or (number is not None and number == _number(answer)):
                return Verdict(True)
        shown = given if len(given) <= _LONGEST_SHOWN else f"{given[:_LONGEST_SHOWN]}..."
        return Verdict(False, f"The answer {shown} is not correct.")


def exact_verifier(*answers: str | int | Fraction) -> ExactVerifier:
    r"""A verifier that accepts an answer that is one of these, letter by letter or as the same number.

    White space and dollars around an answer don't count, and 1,000 = 1000.0 = 2000/2; the case of letters does, and
    ``\frac{1}{2}`` isn't 1/2. For whatever means the same, by algebra if need be, take ``gold_verifier``.

    Args:
        answers: the known answers, one at least.

    Raises:
        InvalidInputError: there is none, or one is empty.
    """
    known = tuple(_plain(str(answer)) for answer in answers)
    if not known or not all(known):
        raise InvalidInputError("exact_verifier needs at least one known answer, and none that is empty")
    return ExactVerifier(known)
