"""What can be said about two answers from their text alone: the fast path before any algebra.

:func:`decide` is exact on numbers, units, letters and words, and hands back what needs algebra. No third-party imports.
"""

from __future__ import annotations

import re

from inftythink_graph._forms import compare_forms
from inftythink_graph._quantities import compare_based, compare_quantities, quantity, unit_ratio, without_unit
from inftythink_graph._structures import (
    ASSIGNED,
    Sequential,
    as_tuple,
    assignments,
    is_composite,
    matrix,
    separate_cases,
    sequence,
)
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

__all__ = ["choice_letter", "decide", "is_plain", "stated_choice"]

# --- multiple choice -------------------------------------------------------------------------------------------------

_CHOICE = re.compile(r"[(\[{]?([A-Ja-j])[)\]}]?[.:]?")
_MARKED_CHOICE = re.compile(r"(?:\(([A-J])\)|([A-J])[).:])[ $\\]")
_CHOICE_WORD = re.compile(r"(?:option|choice|answer) ?:? ?", re.IGNORECASE)
_SECOND_CHOICE = re.compile(r"\(?[A-J][).:]? ?(?:[,/&]|or\b|and\b) ?\(?[A-J](?![A-Za-z])")


def choice_letter(answer: str) -> str | None:
    r"""The letter A to J that ``answer`` is (``C``, ``(c)``, ``\text{(C)}``), else None."""
    letter = _choice(tidy(answer)) if len(answer) <= MAX_CHARACTERS else ""
    return letter.upper() if letter else None


def _choice(text: str) -> str:
    """The choice letter in tidied ``text`` or "": a capital, or a small letter where it stands bare."""
    plain = bare(text)
    match = _CHOICE.fullmatch(plain)
    if match is None:
        return ""
    return match[1] if len(plain) == 1 else match[1].upper()


def stated_choice(answer: str) -> str | None:
    """The letter A to J that ``answer`` names, alone or before the option's text (``(C) red``, ``C. red``), else None.

    An answer that names two letters, ``(A) or (B)``, names none.
    """
    if len(answer) > MAX_CHARACTERS:
        return None
    text = tidy(answer)
    plain = SPACED.sub(" ", TEXT.sub(r" \1 ", text)).strip()
    plain = plain[match.end() :] if (match := _CHOICE_WORD.match(plain)) else plain
    if _SECOND_CHOICE.match(plain):
        return None
    if letter := _choice(plain):
        return letter.upper()
    marked = _MARKED_CHOICE.match(f"{plain} ")
    return (marked[1] or marked[2]) if marked else None


# --- words and degrees -----------------------------------------------------------------------------------------------

_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")
_ARTICLE = re.compile(r"(?:the|an?) ")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|lt|gt)(?![A-Za-z])")
_DEEPEST = 4  # nesting of sequences and assignments that is looked into
_GROUPED_DIGITS = re.compile(r"\d,\d{3}(?!\d)")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?|\\frac\{\d+\}\{\d+\}) ?\^\\circ(?! ?[CF])")


def _words(text: str) -> str | None:
    """Folded words where tidied ``text`` is nothing else: in a text command, or of four letters and up."""
    words = SPACED.sub(" ", TEXT.sub(r"\1", text)).strip(" .\"'").casefold()
    words = words[match.end() :] if (match := _ARTICLE.match(words)) else words
    if not _WORDS.fullmatch(words):
        return None
    return words if TEXT.fullmatch(text) or WORD_LIKE.fullmatch(words) else None


def _in_radians(text: str, other: str) -> str:
    """``text`` with its degrees as radians where ``other`` is in multiples of pi: 30 degrees are pi/6."""
    if "^\\circ" in text and "\\pi" in other and "^\\circ" not in other:
        return _DEGREES.sub(r"(\\frac{\\pi}{180} \\cdot \1)", text)
    return text


# --- sequences -------------------------------------------------------------------------------------------------------


def _compare_sequences(left: Sequential, right: Sequential, depth: int) -> Comparison | Undecided:
    """What brackets and elements say."""
    brackets = {left.brackets, right.brackets}
    if left.is_collection and right.is_collection:
        return _compare_collections(left, right, depth)
    if "\\{\\}" in brackets:
        return Comparison.DIFFERENT  # a set has no order
    if len(left.elements) != len(right.elements):
        return Comparison.DIFFERENT
    if len(brackets) == 2 and len(left.elements) == 2 and brackets != {"()", ""}:
        return Comparison.DIFFERENT  # intervals that differ in their ends
    if len(brackets) == 2:
        # A point without its brackets, or a list in square ones: the order still counts.
        left, right = (Sequential("(", side.elements, ")") for side in (left, right))
    return _compare_in_order(left, right, depth)


def _compare_in_order(left: Sequential, right: Sequential, depth: int) -> Comparison | Undecided:
    """Two sequences of one length, element by element."""
    pairs = [_decide(a, b, depth + 1) for a, b in zip(left.elements, right.elements, strict=True)]
    if Comparison.DIFFERENT in pairs:
        return Comparison.DIFFERENT
    return Comparison.EQUAL if all(pair is Comparison.EQUAL for pair in pairs) else Undecided(str(left), str(right))


def _compare_collections(left: Sequential, right: Sequential, depth: int) -> Comparison | Undecided:
    """Two unordered collections: decided where all elements are plain numbers, or say what variables are."""
    named = assignments(left.elements), assignments(right.elements)
    if named[0] and named[1] and (result := _compare_assignments(named[0], named[1], depth)):
        return result
    left, right = (
        Sequential("", tuple(*values.values()), "") if values and len(values) == 1 else side  # x = 1, x = 2
        for side, values in zip((left, right), named, strict=True)
    )
    quantities = [[quantity(element) for element in side.elements] for side in (left, right)]
    if any(_GROUPED_DIGITS.search(str(side)) for side in (left, right)) or any(
        item is None or item.unit or item.places for items in quantities for item in items
    ):
        return Undecided(str(left), str(right))
    numbers = [{item.value for item in items if item is not None} for items in quantities]
    return Comparison.EQUAL if numbers[0] == numbers[1] else Comparison.DIFFERENT


def _compare_assignments(
    left: dict[str, list[str]], right: dict[str, list[str]], depth: int
) -> Comparison | Undecided | None:
    """What both say of the same variables, one value for each; None for several values of one variable."""
    if left.keys() != right.keys():
        return Comparison.DIFFERENT
    if any(len(values) > 1 for values in (*left.values(), *right.values())):
        return None
    first, second = (Sequential("(", tuple(side[name][0] for name in sorted(left)), ")") for side in (left, right))
    return _compare_in_order(first, second, depth)


def _compare_matrices(left: list[list[str]], right: list[list[str]], depth: int) -> Comparison | None:
    """Two matrices by shape and entries; None where an entry takes algebra."""
    if (len(left), len(left[0])) != (len(right), len(right[0])):
        return Comparison.DIFFERENT
    entries = [tuple(entry for row in rows for entry in row) for rows in (left, right)]
    pairs = [_decide(a, b, depth + 1) for a, b in zip(*entries, strict=True)]
    if Comparison.DIFFERENT in pairs:
        return Comparison.DIFFERENT
    return Comparison.EQUAL if all(pair is Comparison.EQUAL for pair in pairs) else None


def _compare_composites(candidate: str, gold: str, depth: int) -> Comparison | Undecided:
    """Two tidied answers of which at least one may be a sequence or a matrix."""
    tables = matrix(candidate), matrix(gold)
    if tables[0] and tables[1]:
        return _compare_matrices(tables[0], tables[1], depth) or Undecided(candidate, gold)
    # A vector may be written as a tuple.
    sides = sequence(candidate), sequence(gold)
    sides = sides[0] or sequence(as_tuple(candidate) or ""), sides[1] or sequence(as_tuple(gold) or "")
    if sides[0] and sides[1]:
        return _compare_sequences(sides[0], sides[1], depth)
    return Undecided(candidate, gold)


# --- the whole -------------------------------------------------------------------------------------------------------


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
    left, right = tidy(candidate), tidy(gold)
    decided = _decide(_in_radians(left, right), _in_radians(right, left))
    if isinstance(decided, Comparison):
        return decided
    return Undecided(*separate_cases(for_algebra(decided.candidate), for_algebra(decided.gold)))


def _decide(candidate: str, gold: str, depth: int = 0) -> Comparison | Undecided:
    """:func:`decide` on tidied answers."""
    if not candidate or not gold:
        return Comparison.DIFFERENT
    if bare(candidate) == bare(gold):
        return Comparison.EQUAL
    quantities = quantity(candidate), quantity(gold)
    words = _words(candidate), _words(gold)
    letters = _choice(candidate), _choice(gold)
    if letters[1].isupper() and not letters[0]:
        letters = stated_choice(candidate) or "", letters[1]
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
    if form := compare_based(candidate, gold) or compare_forms(candidate, gold):
        return form
    if (plain[0] and is_composite(gold)) or (plain[1] and is_composite(candidate)):
        return Comparison.DIFFERENT
    if depth == _DEEPEST:
        return Undecided(candidate, gold)
    return (
        _compare_assigned(candidate, gold, depth)
        or _compare_units(candidate, gold, depth)
        or _compare_composites(candidate, gold, depth)
    )


def _compare_assigned(candidate: str, gold: str, depth: int) -> Comparison | Undecided | None:
    """x = 5 as what it says of x; None where neither is such an answer, or one is another relation or a list."""
    if any(parts and assignments(parts.elements) for parts in (sequence(candidate), sequence(gold))):
        return None
    assigned = ASSIGNED.fullmatch(candidate), ASSIGNED.fullmatch(gold)
    if assigned[0] and assigned[1] and assigned[0][1] == assigned[1][1]:
        return _decide(assigned[0][2], assigned[1][2], depth + 1)
    if assigned[0] and not assigned[1] and not _RELATION.search(gold):
        return _decide(assigned[0][2], gold, depth + 1)
    if assigned[1] and not assigned[0] and not _RELATION.search(candidate):
        return _decide(candidate, assigned[1][2], depth + 1)
    return None


def _compare_units(candidate: str, gold: str, depth: int) -> Comparison | Undecided | None:
    """Irrational numbers with units in text mode, as rational ones are compared; None where there is no unit."""
    (left, unit), (right, other) = without_unit(candidate), without_unit(gold)
    if not unit and not other:
        return None
    if unit and other and unit != other:
        ratio = unit_ratio(unit, other)
        if ratio is None:
            return Comparison.DIFFERENT
        left = f"\\frac{{{ratio.numerator}}}{{{ratio.denominator}}} \\cdot ({left})"
    return _decide(left, right, depth + 1)
