"""What can be said about two answers from their text alone: the fast path before any algebra.

:func:`decide` is exact on numbers, units, letters and words, and hands back what needs algebra. No third-party imports.
"""

from __future__ import annotations

import re

from inftythink_graph._quantities import compare_based, compare_quantities, quantity
from inftythink_graph._tidy import (
    MAX_CHARACTERS,
    SPACED,
    TEXT,
    WORD_LIKE,
    Comparison,
    Undecided,
    bare,
    for_algebra,
    tidy,
)

__all__ = ["choice_letter", "decide", "is_plain"]

# --- multiple choice -------------------------------------------------------------------------------------------------

_CHOICE = re.compile(r"[(\[{]?([A-Ja-j])[)\]}]?[.:]?")
_MARKED_CHOICE = re.compile(r"(?:\(([A-J])\)|([A-J])[).:])[ $\\]")


def choice_letter(answer: str) -> str | None:
    r"""The letter A to J that ``answer`` is (``C``, ``(c)``, ``\text{(C)}``), else None."""
    letter = _choice(tidy(answer))
    return letter.upper() if letter else None


def _choice(text: str) -> str:
    """The choice letter in tidied ``text`` or "": a capital, or a small letter where it stands bare."""
    plain = bare(text)
    match = _CHOICE.fullmatch(plain)
    if match is None:
        return ""
    return match[1] if len(plain) == 1 else match[1].upper()


# --- words and sequences ---------------------------------------------------------------------------------------------

_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")
_ASSIGNED = re.compile(r"([A-Za-z]|\\(?:theta|alpha|beta|lambda|mu)) ?(?:=|\\in(?![A-Za-z])) ?(.+)", re.DOTALL)
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|lt|gt)(?![A-Za-z])")
_DEEPEST = 4  # nesting of sequences and assignments that is looked into
_GROUPED_DIGITS = re.compile(r"\d,\d{3}(?!\d)")


def _words(text: str) -> str | None:
    """Folded words where tidied ``text`` is nothing else: in a text command, or of four letters and up."""
    words = SPACED.sub(" ", TEXT.sub(r"\1", text)).strip(" .\"'").casefold()
    if not _WORDS.fullmatch(words):
        return None
    if not TEXT.fullmatch(text) and not WORD_LIKE.fullmatch(words):
        return None
    return re.sub(r"^(?:the|an?) ", "", words)


def _sequence(text: str) -> tuple[str, list[str], str] | None:
    r"""Opening bracket, elements, closing bracket of a tuple, interval, set or bare list of two elements and up."""
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
        if character == "," and depth == 0:
            elements.append(body[start:index].strip())
            start = index + 1
    elements.append(body[start:].strip())
    return (opening, elements, end) if len(elements) > 1 and all(elements) and depth == 0 else None


def _compare_sequences(candidate: str, gold: str, depth: int) -> Comparison | Undecided | None:
    """What brackets and elements say; None where one of the two isn't a sequence."""
    left, right = _sequence(candidate), _sequence(gold)
    if left is None or right is None:
        return None
    brackets = {left[0] + left[2], right[0] + right[2]}
    pairs = [_decide(a, b, depth + 1) for a, b in zip(left[1], right[1], strict=False)]
    if brackets <= {"", "\\{\\}"}:
        return _compare_collections(left[1], right[1], candidate, gold)
    if "\\{\\}" in brackets:
        return Comparison.DIFFERENT  # a set has no order
    if len(left[1]) != len(right[1]) or Comparison.DIFFERENT in pairs:
        return Comparison.DIFFERENT
    if len(brackets) == 2:
        if len(left[1]) == 2 and brackets != {"()", ""}:
            return Comparison.DIFFERENT  # intervals that differ in their ends
        # A point without its brackets, or a list in square ones: the order still counts.
        candidate, gold = (f"({', '.join(elements)})" for elements in (left[1], right[1]))
    return Comparison.EQUAL if all(pair is Comparison.EQUAL for pair in pairs) else Undecided(candidate, gold)


def _compare_collections(left: list[str], right: list[str], candidate: str, gold: str) -> Comparison | Undecided:
    """Two unordered collections: decided where all elements are plain numbers."""
    quantities = [[quantity(element) for element in elements] for elements in (left, right)]
    if any(_GROUPED_DIGITS.search(text) for text in (candidate, gold)) or any(
        item is None or item.unit or item.places for items in quantities for item in items
    ):
        return Undecided(candidate, gold)
    values = [{item.value for item in items if item is not None} for items in quantities]
    return Comparison.EQUAL if values[0] == values[1] else Comparison.DIFFERENT


def is_plain(gold: str) -> bool:
    """Whether most candidates can be compared with ``gold`` without algebra: a number, a letter or words."""
    text = tidy(gold)
    return choice_letter(gold) is not None or quantity(text) is not None or _words(text) is not None


def decide(candidate: str, gold: str) -> Comparison | Undecided:
    """Compare two answers by their text, exactly where that is possible; :class:`Undecided` where it takes algebra."""
    if candidate.strip() == gold.strip():
        return Comparison.EQUAL if gold.strip() else Comparison.DIFFERENT
    if max(len(candidate), len(gold)) > MAX_CHARACTERS:
        return Comparison.DIFFERENT
    decided = _decide(tidy(candidate), tidy(gold))
    if isinstance(decided, Comparison):
        return decided
    return Undecided(for_algebra(decided.candidate), for_algebra(decided.gold))


def _decide(candidate: str, gold: str, depth: int = 0) -> Comparison | Undecided:
    """:func:`decide` on tidied answers."""
    if not candidate or not gold:
        return Comparison.DIFFERENT
    if bare(candidate) == bare(gold):
        return Comparison.EQUAL
    quantities = quantity(candidate), quantity(gold)
    words = _words(candidate), _words(gold)
    letters = _choice(candidate), _choice(gold)
    if letters[1] and (marked := _MARKED_CHOICE.match(TEXT.sub(r"\1 ", candidate))):
        letters = (marked[1] or marked[2]), letters[1]
    if letters[0] and letters[1]:
        same = letters[0].upper() == letters[1].upper() and not (letters[0] + letters[1]).islower()
        return Comparison.EQUAL if same else Comparison.DIFFERENT
    # A bare small letter is a choice only beside another letter: e and i are numbers as well.
    plain = [bool((letters[i] or "x").isupper() or quantities[i] or words[i]) for i in (0, 1)]
    if quantities[0] and quantities[1]:
        return compare_quantities(quantities[0], quantities[1])
    if words[0] and words[1]:
        return Comparison.EQUAL if words[0] == words[1] else Comparison.DIFFERENT
    if all(plain):
        return Comparison.DIFFERENT  # a letter, a number and a word are never equal to one another
    if based := compare_based(candidate, gold):
        return based
    if depth == _DEEPEST:
        return Undecided(candidate, gold)
    assigned = _ASSIGNED.fullmatch(candidate), _ASSIGNED.fullmatch(gold)
    if assigned[0] and assigned[1] and assigned[0][1] == assigned[1][1]:
        return _decide(assigned[0][2], assigned[1][2], depth + 1)
    if assigned[0] and not assigned[1] and not _RELATION.search(gold):
        return _decide(assigned[0][2], gold, depth + 1)
    if assigned[1] and not assigned[0] and not _RELATION.search(candidate):
        return _decide(candidate, assigned[1][2], depth + 1)
    return _compare_sequences(candidate, gold, depth) or Undecided(candidate, gold)
