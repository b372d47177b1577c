"""What can be said about two answers from their text alone: the fast path before any algebra.

:func:`decide` is exact on numbers, units, letters and words, and hands back what needs algebra. No third-party imports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

__all__ = ["MAX_CHARACTERS", "Comparison", "Undecided", "choice_letter", "decide", "is_plain"]

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
_FRACTION_COMMANDS = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_SHORT_FRACTION = re.compile(r"\\frac\s?(?:\{([^{}]{1,50})\}|(\d))\s?(?:\{([^{}]{1,50})\}|(\d))")
_SHORT_ROOT = re.compile(r"\\sqrt\s?([A-Za-z\d])")
_TEXT_COMMANDS = re.compile(r"\\(?:textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox|hbox|operatorname)\s?\{")
_SINGLE_GROUP = re.compile(r"([_^])\s?\{(\w)\}")
_SPACED = re.compile(r"\s+")
_LOOSE_SPACE = re.compile(r"(?<![A-Za-z\d]) | (?![A-Za-z\d])")
_TEXT = re.compile(r"\\text\s?\{([^{}]*)\}")
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
    ("\\%", "%"),
)


def _tidy(answer: str) -> str:
    r"""One spelling for what LaTeX can spell in many ways. ``\text`` stays: it tells units and words from variables."""
    text = answer.strip()
    for _ in range(4):
        text = _unwrap(text.rstrip(" \t\n.,;") if not text.endswith("..") else text)
    text = text.replace(",\\!", ",").replace("{,}", ",")
    text = re.sub(r"(?<=\d,)\s+(?=\d{3}\b)", "", text) if ",\\!" in answer else text
    for old, new in _REPLACEMENTS:
        text = text.replace(old, new)
    text = _SPACE_COMMANDS.sub(" ", text)
    text = _SIZE_COMMANDS.sub("", text)
    text = _FRACTION_COMMANDS.sub(r"\\frac", text)
    text = _TEXT_COMMANDS.sub(r"\\text{", text)
    text = _SHORT_FRACTION.sub(lambda m: f"\\frac{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text)
    text = _SINGLE_GROUP.sub(r"\1\2", text)
    return _SPACED.sub(" ", text).strip()


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


def _for_algebra(text: str) -> str:
    """Tidied text as a LaTeX parser takes it: percent signs escaped, dollars as a currency left out."""
    text = text.replace("\\$", "").replace("%", "\\%")
    return text.replace("$", "") if text.count("$") == 1 else text


def _bare(text: str) -> str:
    """Tidied text for identity: without text commands and without spaces, except between two words or numbers."""
    return _LOOSE_SPACE.sub("", _SPACED.sub(" ", _TEXT.sub(r" \1 ", text))).strip()


# --- multiple choice -------------------------------------------------------------------------------------------------

_CHOICE = re.compile(r"[(\[{]?([A-Ja-j])[)\]}]?[.:]?")
_MARKED_CHOICE = re.compile(r"(?:\(([A-J])\)|([A-J])[).:])[ $\\]")


def choice_letter(answer: str) -> str | None:
    r"""The letter A to J that ``answer`` is (``C``, ``(c)``, ``\text{(C)}``), else None."""
    letter = _choice(_tidy(answer))
    return letter.upper() if letter else None


def _choice(text: str) -> str:
    """The choice letter in tidied ``text`` or "": a capital, or a small letter where it stands bare."""
    bare = _bare(text)
    match = _CHOICE.fullmatch(bare)
    if match is None:
        return ""
    return match[1] if len(bare) == 1 else match[1].upper()


# --- numbers with units ----------------------------------------------------------------------------------------------

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_QUANTITY = re.compile(
    rf"(?P<sign>[-+]?) ?(?P<dollar>\\?\$)? ?(?P<sign2>[-+]?) ?(?:"
    rf"(?:(?P<whole>\d+) ?)?\\frac ?\{{ ?(?P<top>-?{_NUMBER}) ?\}} ?\{{ ?(?P<bottom>-?{_NUMBER}) ?\}}"
    rf"|(?:(?P<whole2>\d+) )?(?P<top2>{_NUMBER}) ?/ ?(?P<bottom2>{_NUMBER})"
    rf"|(?P<number>{_NUMBER})(?: ?(?:\\times|\\cdot|\*) ?10 ?\^ ?\{{? ?(?P<power>[-+]?\d{{1,3}}) ?\}}?"
    r"|[eE](?P<power2>[-+]?\d{1,3}))?"
    r")(?P<unit>.*)",
    re.DOTALL,
)
_BASED = re.compile(r"([\dA-Z]+) ?_ ?\{? ?(\d+) ?\}?")
_UNIT = re.compile(r"(?P<words>[A-Za-z.]+(?:(?: per |[ -]| ?/ ?)[A-Za-z.]+){0,3}) ?(?:\^ ?\{?(?P<power>[23])\}?)?")
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
# Words after a number that change its meaning: never a unit.
_NO_UNITS = re.compile(
    r"(?:pi|tau|phi|theta|alpha|beta|gamma|sqrt|sin|cos|tan|log|ln|exp|mod|or|and|to|base|in base|over|of|times|plus"
    r"|minus|factorial|choose|not|infinity|half|halves|thirds?|quarters?|i|e|x|y|z|n|k|a|b|c|t)\b"
)
_WORD_LIKE = re.compile(r"(?=.*[aeiou])[^\W\d_]{4,}(?:[ '/^-][^\W_]+)*")  # abc may be a product of variables
_UNITS: dict[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(factor))
    for dimension, factor, names in (
        ("length", "0.001", "mm millimeter millimetre"),
        ("length", "0.01", "cm centimeter centimetre"),
        ("length", "1", "m meter metre"),
        ("length", "1000", "km kilometer kilometre"),
        ("length", "0.0254", "in inch inche"),
        ("length", "0.3048", "ft foot feet"),
        ("length", "0.9144", "yd yard"),
        ("length", "1609.344", "mi mile"),
        ("mass", "1", "g gram"),
        ("mass", "1000", "kg kilogram"),
        ("time", "1", "s sec second"),
        ("time", "60", "min minute"),
        ("time", "3600", "h hr hour"),
        ("time", "86400", "day"),
        ("money", "0.01", "cent"),
        ("money", "1", "dollar usd"),
        ("angle", "1", "degree deg"),
    )
    for name in names.split()
}


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A rational number; ``places`` counts the decimals it was written with (None: exact); ``unit`` is "" for none."""

    value: Fraction
    places: int | None
    unit: str


def _rational(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _quantity(text: str) -> _Quantity | None:
    """The number that tidied ``text`` is, with its unit; None where it is anything else."""
    match = _QUANTITY.fullmatch(text)
    if match is None or (match["sign"] and match["sign2"]):
        return None
    whole = Fraction(match["whole"] or match["whole2"] or 0)
    places = None
    if top := match["top"] or match["top2"]:
        bottom = _rational(match["bottom"] or match["bottom2"])
        if not bottom or (whole and top.startswith("-")):
            return None
        value = whole + _rational(top) / bottom
    else:
        value = _rational(match["number"]) * Fraction(10) ** int(match["power"] or match["power2"] or 0)
        decimals = match["number"].partition(".")[2]
        places = len(decimals) if decimals and not (match["power"] or match["power2"]) else None
    unit = _unit(match["unit"], bool(match["dollar"]))
    if unit is None:
        return None
    if scale := _SCALES.get(unit.split(" ")[0]):
        value, places, unit = value * scale, None, unit.partition(" ")[2]
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    return _Quantity(value, places, unit)


def _unit(rest: str, dollar: bool) -> str | None:
    """The unit that stands after a number in one spelling; "" for none, None where ``rest`` is no unit."""
    wrapped, apart = "\\text" in rest, rest.startswith(" ")
    rest = _SPACED.sub(" ", _TEXT.sub(r" \1 ", rest)).strip()
    if rest in ("", "."):
        return "dollar" if dollar else ""
    if rest in ("%", "percent", "per cent"):
        return None if dollar else "%"
    if rest.startswith("^\\circ"):
        scale = rest.removeprefix("^\\circ").strip()
        return "degree" if not scale else f"degree {scale}" if scale in ("C", "F") else None
    match = _UNIT.fullmatch(rest)
    if match is None:
        return None
    words = match["words"].casefold().replace(".", "")
    for area, power in (("square ", "2"), ("sq ", "2"), ("cubic ", "3")):
        if words.startswith(area):
            words = f"{words.removeprefix(area)}^{power}"
    name, _, power = words.partition("^")
    power = match["power"] or power
    name = name if name in _UNITS else name.removesuffix("s")
    known = name in _UNITS and len(name) > 1
    if not wrapped and not known and (not apart or _NO_UNITS.match(words) or not _WORD_LIKE.fullmatch(words)):
        return None  # 2k, 3 pi, 5 xyz: part of an expression
    if wrapped and re.match(r"(?:or|and|base|in base|mod|to)\b", words):
        return None
    if dollar and name != "dollar":
        return name if name in _SCALES else None
    return f"{name}^{power}" if power else name


def _compare_quantities(candidate: _Quantity, gold: _Quantity) -> Comparison:
    left, right = candidate.value, gold.value
    units = (candidate.unit, gold.unit)
    if "%" in units and units[0] != units[1]:
        if units[0] and units[1]:
            return Comparison.DIFFERENT
        share, other = (left, right) if units[0] == "%" else (right, left)
        return Comparison.EQUAL if other in (share, share / 100) else Comparison.DIFFERENT
    if all(units) and units[0] != units[1]:  # a missing unit is forgiven, a wrong one isn't
        factors = [_factor(unit) for unit in units]
        if factors[0] is None or factors[1] is None or factors[0][0] != factors[1][0]:
            return Comparison.DIFFERENT
        left, right = left * factors[0][1], right * factors[1][1]
    if left == right:
        return Comparison.EQUAL
    # 0.333333 stands for 1/3, 0.33 doesn't: a rounded decimal counts from six places on.
    for places, rounded, exact in ((candidate.places, left, right), (gold.places, right, left)):
        if places is not None and places >= 6 and abs(rounded - exact) * 2 <= Fraction(1, 10**places):
            return Comparison.EQUAL
    return Comparison.DIFFERENT


def _factor(unit: str) -> tuple[str, Fraction] | None:
    name, _, power = unit.partition("^")
    if name not in _UNITS:
        return None
    dimension, factor = _UNITS[name]
    return f"{dimension}^{power}", factor ** int(power or 1)


# --- words and sequences ---------------------------------------------------------------------------------------------

_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")
_ASSIGNED = re.compile(r"([A-Za-z]|\\(?:theta|alpha|beta|lambda|mu)) ?(?:=|\\in(?![A-Za-z])) ?(.+)", re.DOTALL)
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|lt|gt)(?![A-Za-z])")
_DEEPEST = 4  # nesting of sequences and assignments that is looked into
_GROUPED_DIGITS = re.compile(r"\d,\d{3}(?!\d)")


def _words(text: str) -> str | None:
    """Folded words where tidied ``text`` is nothing else: in a text command, or of four letters and up."""
    bare = _SPACED.sub(" ", _TEXT.sub(r"\1", text)).strip(" .\"'")
    if not _WORDS.fullmatch(bare):
        return None
    if not _TEXT.fullmatch(text) and not _WORD_LIKE.fullmatch(bare.casefold()):
        return None
    return re.sub(r"^(?:the|an?) ", "", bare.casefold())


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
    quantities = [[_quantity(element) for element in elements] for elements in (left, right)]
    if any(_GROUPED_DIGITS.search(text) for text in (candidate, gold)) or any(
        item is None or item.unit or item.places for items in quantities for item in items
    ):
        return Undecided(candidate, gold)
    values = [{item.value for item in items if item is not None} for items in quantities]
    return Comparison.EQUAL if values[0] == values[1] else Comparison.DIFFERENT


def is_plain(gold: str) -> bool:
    """Whether most candidates can be compared with ``gold`` without algebra: a number, a letter or words."""
    text = _tidy(gold)
    return choice_letter(gold) is not None or _quantity(text) is not None or _words(text) is not None


def decide(candidate: str, gold: str) -> Comparison | Undecided:
    """Compare two answers by their text, exactly where that is possible; :class:`Undecided` where it takes algebra."""
    if candidate.strip() == gold.strip():
        return Comparison.EQUAL if gold.strip() else Comparison.DIFFERENT
    if max(len(candidate), len(gold)) > MAX_CHARACTERS:
        return Comparison.DIFFERENT
    decided = _decide(_tidy(candidate), _tidy(gold))
    if isinstance(decided, Comparison):
        return decided
    return Undecided(_for_algebra(decided.candidate), _for_algebra(decided.gold))


def _decide(candidate: str, gold: str, depth: int = 0) -> Comparison | Undecided:
    """:func:`decide` on tidied answers."""
    if not candidate or not gold:
        return Comparison.DIFFERENT
    if _bare(candidate) == _bare(gold):
        return Comparison.EQUAL
    quantities = _quantity(candidate), _quantity(gold)
    words = _words(candidate), _words(gold)
    letters = _choice(candidate), _choice(gold)
    if letters[1] and (marked := _MARKED_CHOICE.match(_TEXT.sub(r"\1 ", candidate))):
        letters = (marked[1] or marked[2]), letters[1]
    if letters[0] and letters[1]:
        same = letters[0].upper() == letters[1].upper() and not (letters[0] + letters[1]).islower()
        return Comparison.EQUAL if same else Comparison.DIFFERENT
    # A bare small letter is a choice only beside another letter: e and i are numbers as well.
    plain = [bool((letters[i] or "x").isupper() or quantities[i] or words[i]) for i in (0, 1)]
    if quantities[0] and quantities[1]:
        return _compare_quantities(quantities[0], quantities[1])
    if words[0] and words[1]:
        return Comparison.EQUAL if words[0] == words[1] else Comparison.DIFFERENT
    if all(plain):
        return Comparison.DIFFERENT  # a letter, a number and a word are never equal to one another
    if based := _compare_based(candidate, gold):
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


def _compare_based(candidate: str, gold: str) -> Comparison | None:
    """Numbers written with their base, 52_8; a missing base is forgiven."""
    matches = [_BASED.fullmatch(text.replace("\\text", "")) for text in (candidate, gold)]
    if not any(matches):
        return None
    if matches[0] and matches[1]:
        same = matches[0].groups() == matches[1].groups()
        return Comparison.EQUAL if same else Comparison.DIFFERENT
    other, based = (candidate, matches[1]) if matches[1] else (gold, matches[0])
    if based is None or not re.fullmatch(r"[\dA-Z]+", other):
        return None
    return Comparison.EQUAL if other == based[1] else Comparison.DIFFERENT
