"""One spelling for answers that LaTeX can spell in many ways, and what a comparison of two may say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache

__all__ = [
    "MAX_CHARACTERS",
    "SPACED",
    "TEXT",
    "WORD_LIKE",
    "Comparison",
    "Undecided",
    "bare",
    "for_algebra",
    "tidy",
]

MAX_CHARACTERS = 2000
"""Answers longer than this are compared as text only: no algebra is worth its time on them."""


class Comparison(Enum):
    """How a candidate relates to the gold answer.

    ``TIMED_OUT`` means that no decision was reached: the algebra exceeded its time, or took its worker down with it.
    """

    EQUAL = "equal"
    DIFFERENT = "different"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Undecided:
    """Two answers that need algebra, tidied for a LaTeX parser."""

    candidate: str
    gold: str


_SPACE_COMMANDS = re.compile(r"(?<!\\)\\(?:[,;:! ]|quad(?![A-Za-z])|qquad(?![A-Za-z])|displaystyle(?![A-Za-z]))|~")
_SIZE_COMMANDS = re.compile(r"\\(?:left|right|big|Big|bigg|Bigg)[lr]?(?![A-Za-z])\.?")
_FRACTION_COMMANDS = re.compile(r"\\[dtc](frac|binom)(?![A-Za-z])")
_SHORT_FRACTION = re.compile(r"\\(frac|binom)\s?(?:\{([^{}]{1,50})\}|(\d))\s?(?:\{([^{}]{1,50})\}|(\d))")
_SHORT_ROOT = re.compile(r"\\sqrt\s?([A-Za-z\d])")
_ROOT_SIGN = re.compile("\u221a\\s?(?:\\(([^()]{1,50})\\)|(\\d+|[A-Za-z]))")
_WORD_PI = re.compile(r"(?<![A-Za-z\\])pi(?![A-Za-z])")
_PLAIN_POWER = re.compile(r"\^ ?(-?\d*\.\d+)")
_THIN_SPACED_THOUSANDS = re.compile(r"(?<=\d)\\,(?=\d{3}(?!\d))")
_SPACED_THOUSANDS = re.compile(r"\d{1,3}(?: \d{3})+")
_NUMBER_AFTER_BRACE = re.compile(r"(\\text ?\{[^{}]*\})|\} ?(\d{2,}(?:\.\d+)?|\d\.\d+)")
_REPEATING = re.compile(r"(\d{0,50})\.(\d{0,50})\\(?:overline|bar|dot)\s?(?:\{(\d{1,50})\}|(\d))")
_SET_BUILDER = re.compile(
    r"\\\{ ?[A-Za-z](?: ?\\in ?\\mathbb ?\{?R\}?)? ?(?::|\\mid(?![a-z])|\|) ?"
    r"(.+[<>].+|.+\\(?:le|ge|ne|lt|gt)(?![a-z]).+)\\\}"
)
_TEXT_COMMANDS = re.compile(r"\\(?:textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox|hbox|operatorname)\s?\{")
_SINGLE_GROUP = re.compile(r"([_^])\s?\{(\w)\}(?!\s?\d)")  # 2^{3}4 isn't 2^34
SPACED = re.compile(r"\s+")
_LOOSE_SPACE = re.compile(r"(?<![A-Za-z\d]) | (?![A-Za-z\d])")
TEXT = re.compile(r"\\text\s?\{([^{}]*)\}")
WORD_LIKE = re.compile(r"(?=.*[aeiou])[^\W\d_]{4,}(?:[ '/^-][^\W_]+)*")
"""Words that can't be products of variables, as abc may be."""
_REPLACEMENTS = (
    ("\u2212", "-"),
    ("\u2013", "-"),
    ("\u00d7", "\\times "),
    ("\u00b7", "\\cdot "),
    ("\u03c0", "\\pi "),
    ("\u221e", "\\infty "),
    ("\u00b0", "^\\circ"),
    ("^{\\circ}", "^\\circ"),
    ("\\degree", "^\\circ"),
    ("\\leqslant", "\\le"),
    ("\\geqslant", "\\ge"),
    ("\\leq", "\\le"),
    ("\\geq", "\\ge"),
    ("\\neq", "\\ne"),
    ("\\varnothing", "\\emptyset"),
    ("\\langle", "("),
    ("\\rangle", ")"),
    ("\\%", "%"),
)


@lru_cache(maxsize=1024)
def tidy(answer: str) -> str:
    r"""One spelling for what LaTeX can spell in many ways. ``\text`` stays: it tells units and words from variables."""
    text = answer.strip()
    for _ in range(4):
        text = _unwrap(text.rstrip(" \t\n.,;") if not text.endswith("..") else text)
    text = text.replace(",\\!", ",").replace("{,}", ",")
    text = re.sub(r"(?<=\d,)\s+(?=\d{3}\b)", "", text) if ",\\!" in answer else text
    for old, new in _REPLACEMENTS:
        text = text.replace(old, new)
    text = _THIN_SPACED_THOUSANDS.sub("", text)
    text = _SPACE_COMMANDS.sub(" ", text)
    text = _SIZE_COMMANDS.sub("", text)
    text = _FRACTION_COMMANDS.sub(r"\\\1", text)
    text = _TEXT_COMMANDS.sub(r"\\text{", text)
    text = _SHORT_FRACTION.sub(lambda m: f"\\{m[1]}{{{m[2] or m[3]}}}{{{m[4] or m[5]}}}", text)
    text = _ROOT_SIGN.sub(r"\\sqrt{\1\2}", text)
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text)
    text = _WORD_PI.sub(r"\\pi ", text)
    text = _PLAIN_POWER.sub(lambda m: f"^{{{_fraction(Fraction(m[1]))}}}", text)
    text = _REPEATING.sub(_repeating, text)
    text = _SINGLE_GROUP.sub(r"\1\2", text)
    text = SPACED.sub(" ", text).strip()
    if _SPACED_THOUSANDS.fullmatch(text):
        return text.replace(" ", "")
    builder = _SET_BUILDER.fullmatch(text)
    return builder[1].strip() if builder else text


def _repeating(match: re.Match[str]) -> str:
    r"""A repeating decimal, 0.1\overline{6}, as the fraction that it is."""
    start, repeated = match[1] + match[2], match[3] or match[4]
    nines = 10 ** len(match[2]) * (10 ** len(repeated) - 1)
    return _fraction(Fraction(int(start + repeated) - int(start or 0), nines))


def _fraction(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


def _unwrap(text: str) -> str:
    """``text`` without one layer of math delimiters or a box around all of it."""
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("\\boxed{", "}")):
        inner = text[len(left) : -len(right)]
        unescaped = inner.replace("\\$", "")
        whole = _balanced(inner) if right == "}" else left not in unescaped and right not in unescaped
        if inner and text.startswith(left) and text.endswith(right) and whole and inner.rstrip()[-1:] != "\\":
            return inner.strip()
    return text


def _balanced(text: str) -> bool:
    """Whether no brace in ``text`` closes one that was opened before it."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def for_algebra(text: str) -> str:
    """Tidied text as a LaTeX parser takes it: percent signs escaped, dollars as a currency left out.

    Behind a fraction, math-verify takes the first digit after any brace for a denominator and reads 16 as 1 times 6:
    numbers get braces of their own there.
    """
    text = text.replace("\\$", "").replace("%", "\\%")
    if "\\frac" in text:
        text = _NUMBER_AFTER_BRACE.sub(lambda m: m[1] or f"}}{{{m[2]}}}", text)
    return text.replace("$", "") if text.count("$") == 1 else text


def bare(text: str) -> str:
    """Tidied text for identity: without text commands and without spaces, except between two words or numbers."""
    return _LOOSE_SPACE.sub("", SPACED.sub(" ", TEXT.sub(r" \1 ", text))).strip()
