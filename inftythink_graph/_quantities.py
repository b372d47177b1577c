"""Answers that are rational numbers, with a unit or in a base: read and compared exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from inftythink_graph._tidy import SPACED, TEXT, WORD_LIKE, Comparison

__all__ = ["Quantity", "compare_based", "compare_quantities", "quantity", "unit_ratio", "without_unit"]

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_QUANTITY = re.compile(
    rf"(?P<sign>[-+]?) ?(?P<currency>\\?\$|[\u20ac\u00a3\u00a5])? ?(?P<sign2>[-+]?) ?(?:"
    rf"(?:(?P<whole>\d+) ?)?\\frac ?\{{ ?(?P<top>-?{_NUMBER}) ?\}} ?\{{ ?(?P<bottom>-?{_NUMBER}) ?\}}"
    rf"|(?:(?P<whole2>\d+) )?(?P<top2>{_NUMBER}) ?/ ?(?P<bottom2>{_NUMBER})"
    rf"|(?P<number>{_NUMBER})(?: ?(?:\\times|\\cdot|\*) ?10 ?\^ ?\{{? ?(?P<power>[-+]?\d{{1,3}}) ?\}}?"
    r"|[eE](?P<power2>[-+]?\d{1,3}))?"
    r")(?P<unit>.*)",
    re.DOTALL,
)
_BASED = re.compile(
    r"\(?([\dA-Z]+)\)? ?(?:_ ?\{? ?\(? ?(\d{1,2}|[a-z]{3,8}) ?\)? ?\}?|(?:in )?base ?(\d{1,2}|[a-z]{3,8}))"
)
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_CURRENCIES = {"": "", "$": "dollar", "\u20ac": "euro", "\u00a3": "pound sterling", "\u00a5": "yen"}
_TRAILING_UNIT = re.compile(r"(.*[^\s^_\\]) ?(\\text ?\{[^{}]*\} ?(?:\^ ?\{?[23]\}?)?)", re.DOTALL)
_UNIT = re.compile(r"(?P<words>[A-Za-z.]+(?:(?: per |[ -]| ?/ ?)[A-Za-z.]+){0,3}) ?(?:\^ ?\{?(?P<power>[23])\}?)?")
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
# Words after a number that change its meaning: never a unit.
_NO_UNITS = re.compile(
    r"(?:pi|tau|phi|theta|alpha|beta|gamma|sqrt|sin|cos|tan|log|ln|exp|mod|or|and|to|base|in base|over|of|times|plus"
    r"|minus|factorial|choose|not|infinity|half|halves|thirds?|quarters?|i|e|x|y|z|n|k|a|b|c|t)\b"
)
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
        ("volume", "0.001", "ml milliliter millilitre"),
        ("volume", "1", "l liter litre"),
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
class Quantity:
    """A rational number; ``places`` counts the decimals it was written with (None: exact); ``unit`` is "" for none."""

    value: Fraction
    places: int | None
    unit: str


def _rational(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def quantity(text: str) -> Quantity | None:
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
    currency = _CURRENCIES[(match["currency"] or "").removeprefix("\\")]
    unit = _unit(match["unit"], currency)
    if unit is None:
        return None
    if scale := _SCALES.get(unit.split(" ")[0]):
        value, places, unit = value * scale, None, unit.partition(" ")[2] or currency
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    return Quantity(value, places, unit)


def _unit(rest: str, currency: str = "") -> str | None:
    """The unit that stands after a number in one spelling; "" for none, None where ``rest`` is no unit."""
    wrapped, apart = "\\text" in rest, rest.startswith(" ")
    rest = SPACED.sub(" ", TEXT.sub(r" \1 ", rest)).strip()
    if rest in ("", "."):
        return currency
    if rest in ("%", "percent", "per cent"):
        return None if currency else "%"
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
    if not wrapped and not known and (not apart or _NO_UNITS.match(words) or not WORD_LIKE.fullmatch(words)):
        return None  # 2k, 3 pi, 5 xyz: part of an expression
    if wrapped and re.match(r"(?:or|and|base|in base|mod|to)\b", words):
        return None
    if currency and name != currency:
        return name if name in _SCALES else None
    return f"{name}^{power}" if power else name


def compare_quantities(candidate: Quantity, gold: Quantity) -> Comparison:
    left, right = candidate.value, gold.value
    units = (candidate.unit, gold.unit)
    if "%" in units and units[0] != units[1]:
        if units[0] and units[1]:
            return Comparison.DIFFERENT
        share, other = (left, right) if units[0] == "%" else (right, left)
        return Comparison.EQUAL if other in (share, share / 100) else Comparison.DIFFERENT
    if all(units) and units[0] != units[1]:  # a missing unit is forgiven, a wrong one isn't
        ratio = unit_ratio(*units)
        if ratio is None:
            return Comparison.DIFFERENT
        left *= ratio
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


def unit_ratio(unit: str, other: str) -> Fraction | None:
    """How many of ``other`` one of ``unit`` is; None where they don't measure the same."""
    factors = _factor(unit), _factor(other)
    if factors[0] is None or factors[1] is None or factors[0][0] != factors[1][0]:
        return None
    return factors[0][1] / factors[1][1]


def without_unit(text: str) -> tuple[str, str]:
    r"""A number in tidied ``text``, rational or not, without the unit in ``\text`` behind it; and the unit, or ""."""
    match = _TRAILING_UNIT.fullmatch(text)
    if match is None or re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", match[1])):
        return text, ""
    unit = _unit(f" {match[2]}")
    return (match[1], unit) if unit else (text, "")


def compare_based(candidate: str, gold: str) -> Comparison | None:
    """Numbers written with their base, 52_8. A base that one of the two lacks is forgiven, another base isn't.

    A candidate in a base also equals the plain number that it is; a gold answer in a base asks for that base.
    """
    left, right = _based(candidate), _based(gold)
    if left and right:
        return Comparison.EQUAL if left == right else Comparison.DIFFERENT
    based, other = left or right, gold if left else candidate
    if based is None or not re.fullmatch(r"[\dA-Z]+", other):
        return None
    digits, base = based
    if other == digits or (left and other.isdecimal() and int(other) == int(digits, base)):
        return Comparison.EQUAL
    return Comparison.DIFFERENT


def _based(text: str) -> tuple[str, int] | None:
    """The digits and the base that tidied ``text`` is."""
    match = _BASED.fullmatch(SPACED.sub(" ", TEXT.sub(r" \1 ", text)).strip())
    if match is None:
        return None
    name = match[2] or match[3]
    base = int(name) if name.isdecimal() else _BASES.get(name, 0)
    if not 2 <= base <= 36 or any(int(digit, 36) >= base for digit in match[1]):
        return None
    return match[1], base
