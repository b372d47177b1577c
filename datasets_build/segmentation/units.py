"""A chain of thought as a sequence of units, from paragraphs down to words, with the kind of gap after each.

A unit is split only where it does not fit into a segment (Yan et al. 2025, arXiv 2503.06692, section 3.2, cuts at
paragraphs only). The stages go from coarse to fine; list items open before formulas and code do, which open last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from datasets_build.segmentation.regions import FILLERS, blank_out, find_containers, find_regions
from datasets_build.segmentation.sentences import Gap, clause_gaps, sentence_gaps

__all__ = ["STAGES", "Cut", "Layout", "Unit"]

Cut: TypeAlias = Literal["end", "thought", "paragraph", "line", "sentence", "clause", "word", "token"]
"""The kind of place that a unit or a segment ends at."""

_Finder: TypeAlias = Callable[[str, int, int], Iterable[Gap]]

_PARAGRAPH = re.compile(r"\n[^\S\n]*+\n\s*+")
_LINE = re.compile(r"\n\s*+")
_SPACE = re.compile(r"\s++")
_EDGE = re.compile("|".join(f"(?<={a})(?!{a})|(?<!{a})(?={a})" for a in FILLERS))


def _around(pattern: re.Pattern[str]) -> _Finder:
    """The gaps where ``pattern`` matches, widened by the white space before it."""

    def find(text: str, start: int, end: int) -> Iterator[Gap]:
        for match in pattern.finditer(text, start, end):
            before = match.start()
            while before > start and text[before - 1].isspace():
                before -= 1
            if start < before and match.end() < end:
                yield before, match.end()

    return find


def _edges(text: str, start: int, end: int) -> Iterator[Gap]:
    """Where a region touches text without white space between, as formulas in Chinese text do."""
    return ((match.start(), match.start()) for match in _EDGE.finditer(text, start, end) if start < match.start() < end)


_paragraphs, _lines, _spaces = _around(_PARAGRAPH), _around(_LINE), _around(_SPACE)

_OPEN, _REGIONS, _ALL = 0, 1, 2
# What is split at, how it is found, and what is protected meanwhile.
_STAGES: tuple[tuple[Cut, _Finder, int], ...] = (
    ("paragraph", _paragraphs, _ALL),
    ("line", _lines, _ALL),
    ("sentence", sentence_gaps, _ALL),
    ("paragraph", _paragraphs, _REGIONS),
    ("line", _lines, _REGIONS),
    ("sentence", sentence_gaps, _REGIONS),
    ("clause", clause_gaps, _REGIONS),
    ("word", _spaces, _REGIONS),
    ("word", _edges, _REGIONS),
    ("paragraph", _paragraphs, _OPEN),
    ("line", _lines, _OPEN),
    ("clause", clause_gaps, _OPEN),
    ("word", _spaces, _OPEN),
)

STAGES = len(_STAGES)
"""The number of stages; a unit of a higher stage is too small for any of them."""


class Unit(NamedTuple):
    """A stretch of a chain without outer white space.

    Attributes:
        start: its first character.
        end: the character after its last one.
        cut: the kind of gap after it; ``end`` after the chain's last unit.
        stage: how fine a split it came from.
    """

    start: int
    end: int
    cut: Cut
    stage: int


class Layout:
    """A chain and what is protected in it.

    Args:
        text: the chain, without outer white space and not empty.
    """

    __slots__ = ("_guarded", "text")

    def __init__(self, text: str) -> None:
        regions = find_regions(text)
        containers = find_containers(text, regions)
        outer, last = [], 0
        for start, end in sorted([*regions, *containers]):
            if start >= last:
                outer.append((start, end))
                last = end
        inner_text = blank_out(text, regions) if regions else text
        self.text = text
        self._guarded = (text, inner_text, blank_out(text, outer) if containers else inner_text)

    def paragraphs(self) -> list[Unit]:
        """The chain's paragraphs; a blank line inside protected text ends none."""
        return self._pieces(Unit(0, len(self.text), "end", -1), 0)

    def sentences(self) -> list[Unit]:
        """Paragraphs, lines and sentences at once: the finest units that cut through nothing protected."""
        text, end = self._guarded[_ALL], len(self.text)
        gaps: dict[Gap, Cut] = {gap: "sentence" for gap in sentence_gaps(text, 0, end)}
        for before, after in _lines(text, 0, end):
            gaps[before, after] = "paragraph" if text.count("\n", before, after) > 1 else "line"
        units, start = [], 0
        for before, after in sorted(gaps):
            units.append(Unit(start, before, gaps[before, after], 2))
            start = after
        return [*units, Unit(start, end, "end", 2)]

    def split(self, unit: Unit) -> list[Unit]:
        """The parts of a unit by the next stage that finds any; empty where only characters are left."""
        for stage in range(unit.stage + 1, len(_STAGES)):
            pieces = self._pieces(unit, stage)
            if len(pieces) > 1:
                return pieces
        return []

    def _pieces(self, unit: Unit, stage: int) -> list[Unit]:
        cut, find, guard = _STAGES[stage]
        pieces, start = [], unit.start
        for before, after in find(self._guarded[guard], unit.start, unit.end):
            pieces.append(Unit(start, before, cut, stage))
            start = after
        return [*pieces, Unit(start, unit.end, unit.cut, stage)]
