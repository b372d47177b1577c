"""Answers with a form of their own that no algebra knows: congruences, ratios of several parts, times of day."""

from __future__ import annotations

import re
from fractions import Fraction

from inftythink_graph._tidy import SPACED, TEXT, Comparison

__all__ = ["compare_forms"]

_CONGRUENCE = re.compile(r"(?:[A-Za-z] ?\\equiv ?)?(-? ?\d+) ?\(? ?\\?[pb]?mod(?![a-z]) ?[{(]? ?(\d+) ?[})]? ?\)?")
_INTEGER = re.compile(r"(?:[A-Za-z] ?(?:=|\\equiv) ?)?(-? ?\d+)")
_RATIO = re.compile(r"\d+(?:\.\d+)?(?: ?: ?\d+(?:\.\d+)?)+")
_TIME = re.compile(r"(\d{1,2}) ?: ?(\d{2}) ?(?:([ap])\.? ?m\.?)?", re.IGNORECASE)


def compare_forms(candidate: str, gold: str) -> Comparison | None:
    """Compare two tidied answers of which at least one has such a form; None where none has."""
    left, right = (SPACED.sub(" ", TEXT.sub(r" \1 ", text)).strip() for text in (candidate, gold))
    for compare in (_congruences, _times, _ratios):
        if (result := compare(left, right)) is not None:
            return Comparison.EQUAL if result else Comparison.DIFFERENT
    return None


def _congruences(left: str, right: str) -> bool | None:
    """3 (mod 7): the class counts, not its representative. A missing modulus is forgiven."""
    matches = _CONGRUENCE.fullmatch(left), _CONGRUENCE.fullmatch(right)
    if matches[0] and matches[1]:
        moduli = {int(match[2]) for match in matches if match}
        difference = _integer(matches[0][1]) - _integer(matches[1][1])
        modulus = moduli.pop()
        return not moduli and (difference % modulus == 0 if modulus else difference == 0)
    match, other = (matches[0], right) if matches[0] else (matches[1], left)
    if match is None:
        return None
    number, residue, modulus = _INTEGER.fullmatch(other), _integer(match[1]), int(match[2])
    return number is not None and _integer(number[1]) in (residue, residue % modulus if modulus else residue)


def _integer(text: str) -> int:
    return int(text.replace(" ", ""))


def _times(left: str, right: str) -> bool | None:
    """10:30 a.m.: a half of the day that one of the two lacks is forgiven."""
    matches = _TIME.fullmatch(left), _TIME.fullmatch(right)
    if matches[0] is None or matches[1] is None or not (matches[0][3] or matches[1][3]):
        return None
    clocks = [(int(match[1]) % 12, int(match[2])) for match in matches if match]
    halves = {half for match in matches if match and (half := _half(match))}
    return clocks[0] == clocks[1] and len(halves) < 2


def _half(match: re.Match[str]) -> str:
    if match[3]:
        return str(match[3]).lower()
    return "p" if int(match[1]) > 12 else ""


def _ratios(left: str, right: str) -> bool | None:
    """1:2:3 is 2:4:6. A ratio of two parts is a fraction as well, and left to what compares those."""
    parts = [[Fraction(part) for part in text.split(":")] if _RATIO.fullmatch(text) else [] for text in (left, right)]
    if max(len(parts[0]), len(parts[1])) < 3:
        return None
    if len(parts[0]) != len(parts[1]):
        return False
    pairs = list(zip(*parts, strict=True))
    return all(a * d == b * c for a, b in pairs for c, d in pairs)
