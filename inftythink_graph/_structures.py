"""What an answer is made of, read from tidied text: sequences, matrices, assignments. Nothing is compared here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ASSIGNED", "Sequential", "as_tuple", "assignments", "is_composite", "matrix", "separate_cases", "sequence"]

ASSIGNED = re.compile(r"([A-Za-z]|\\(?:theta|alpha|beta|lambda|mu)) ?(?:=|\\in(?![A-Za-z])) ?(.+)", re.DOTALL)
"""A variable and what it is said to be, or to lie in."""

_MATRIX = re.compile(r"\\begin\{[bpB]?matrix\}(.*)\\end\{[bpB]?matrix\}", re.DOTALL)
_LETTERS = re.compile(r"\\text ?\{[^{}]*\}|\\(?:begin|end)\{[^{}]*\}|\\[A-Za-z]+|([A-Za-z])(?! ?_)")


@dataclass(frozen=True, slots=True)
class Sequential:
    r"""A tuple, interval, set or bare list of two elements and up.

    Attributes:
        opening: ``(``, ``[``, ``\{`` or "" for none.
        elements: in their order.
        closing: the bracket at the end.
        text: as it was written; "" where it was put together.
    """

    opening: str
    elements: tuple[str, ...]
    closing: str
    text: str = ""

    def __str__(self) -> str:
        return self.text or f"{self.opening}{', '.join(self.elements)}{self.closing}"

    @property
    def brackets(self) -> str:
        """Both brackets."""
        return self.opening + self.closing

    @property
    def is_collection(self) -> bool:
        """Without an order of its own: a set, or a list without brackets."""
        return self.opening in ("", "\\{")


def sequence(text: str) -> Sequential | None:
    """The sequence that tidied ``text`` is; None where it is none."""
    if "\\begin" in text or "\\pm" in text:
        return None
    closing = {"(": (")", "]"), "[": (")", "]"), "\\{": ("\\}",)}
    opening, end, body = "", "", text
    for mark in closing:
        if text.startswith(mark) and text.endswith(closing[mark]) and len(text) > len(mark) + 1:
            opening, end = mark, "\\}" if mark == "\\{" else text[-1]
            body = text[len(mark) : -len(end)]
            break
    elements, depth, start = [], 0, 0
    for index, character in enumerate(body):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:  # the brackets at the two ends aren't a pair: (0,1) \cup (2,3)
            return None
        if character in ",;" and depth == 0:
            elements.append(body[start:index].strip())
            start = index + 1
    elements.append(body[start:].strip())
    if len(elements) < 2 or not all(elements) or depth:
        return None
    return Sequential(opening, tuple(elements), end, text)


def matrix(text: str) -> list[list[str]] | None:
    """The rows of the one matrix that tidied ``text`` is; None where it is anything else, or has uneven rows."""
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[1]:
        return None
    rows = [[entry.strip() for entry in row.split("&")] for row in match[1].split("\\\\") if row.strip()]
    if not rows or len({len(row) for row in rows}) > 1 or not all(all(row) for row in rows):
        return None
    return rows


def as_tuple(text: str) -> str | None:
    """A matrix of one column or one row as a tuple of its entries; None where tidied ``text`` is no such vector."""
    rows = matrix(text)
    if rows is None or min(len(rows), len(rows[0])) > 1:
        return None
    entries = [entry for row in rows for entry in row]
    return f"({', '.join(entries)})" if len(entries) > 1 else None


def is_composite(text: str) -> bool:
    r"""Whether tidied ``text`` is of several parts in an order: never equal to a number, a letter or a word.

    Sets and bare lists don't count: ``3, 3`` is the set of 3.
    """
    parts = sequence(text)
    if parts is not None:
        return not parts.is_collection
    rows = matrix(text)
    return "\\cup" in text or (rows is not None and len(rows) * len(rows[0]) > 1)


def assignments(elements: Sequence[str]) -> dict[str, list[str]] | None:
    """Values by variable where every element says what one variable is: x = 1, y = 2; None otherwise."""
    values: dict[str, list[str]] = {}
    for element in elements:
        match = ASSIGNED.fullmatch(element)
        if match is None or "\\in" in element[: match.start(2)]:
            return None
        values.setdefault(match[1], []).append(match[2])
    return values


def separate_cases(*texts: str) -> tuple[str, ...]:
    r"""Texts in which a capital has a name of its own, R_{c}, where one of them uses both it and its small letter.

    The parser of :mod:`math_verify` makes small letters of all, so that it takes R + r for 2r.
    """
    clashing: set[str] = set()
    for text in texts:
        used = {match[1] for match in _LETTERS.finditer(text) if match[1]}
        clashing |= {letter for letter in used if letter.isupper() and letter.lower() in used}
    if not clashing:
        return texts

    def renamed(match: re.Match[str]) -> str:
        return f"{match[1]}_{{c}}" if match[1] in clashing else match[0]

    return tuple(_LETTERS.sub(renamed, text) for text in texts)
