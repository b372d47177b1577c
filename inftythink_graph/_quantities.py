"""Answers that are rational numbers, with a unit or in a base: read and compared exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from inftythink_graph._tidy import SPACED, TEXT, WORD_LIKE, Comparison

__all__ = ["Quantity", "compare_based", "compare_quantities", "quantity"]

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
    unit = _unit(match["unit"], bool(match["dollar"]))
    if unit is None:
        return None
    if scale := _SCALES.get(unit.split(" ")[0]):
        value, places, unit = value * scale, None, unit.partition(" ")[2]
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    return Quantity(value, places, unit)


def _unit(rest: str, dollar: bool) -> str | None:
    """The unit that stands after a number in one spelling; "" for none, None where ``rest`` is no unit."""
    wrapped, apart = "\\text" in rest, rest.startswith(" ")
    rest = SPACED.sub(" ", TEXT.sub(r" \1 ", rest)).strip()
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
    if not wrapped and not known and (not apart or _NO_UNITS.match(words) or not WORD_LIKE.fullmatch(words)):
        return None  # 2k, 3 pi, 5 xyz: part of an expression
    if wrapped and re.match(r"(?:or|and|base|in base|mod|to)\b", words):
        return None
    if dollar and name != "dollar":
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


def compare_based(candidate: str, gold: str) -> Comparison | None:
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
