"""What must not be cut through: formulas, code, list items and table rows of a chain of thought.

A delimiter without its counterpart protects nothing: a lone ``$`` is a currency sign, an unclosed fence plain text. All
passes are linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = ["FILLERS", "Region", "blank_out", "find_containers", "find_regions"]

Region: TypeAlias = tuple[int, int]
"""Start and end of a stretch of characters that begins and ends with something other than white space."""

FILLERS = ("\ue000", "\ue001")
"""What stands for a region's characters in a blanked text: private characters, neither white space nor letters."""

# Every alternative starts with one of four characters, which is what lets the scan skip ordinary text quickly.
_EVENT = re.compile(
    r"\\[\\$`]"
    r"|\\[\[\]()]"
    r"|\\(?:begin|end)\{[^\s{}]{1,40}\}"
    r"|\$\$?"
    r"|`++"
    r"|\n(?=[^\S\n]*+\n)"
    r"|\n[ \t]*+(?:`{3,}+[^`\n]*+(?=\n|\Z)|~{3,}+[^\n]*+)"
)
_CLOSER = {"\\(": "\\)", "\\[": "\\]"}
# A number in words' company or at a line's end: money, not mathematics.
_CURRENCY = re.compile(r"\$\d[\d.,]*+(?:[.,;:!?)]*+[^\S\n]++(?:[^\W\d_]{2,}|[\u2013\u2014])|[.,;:!?)]*+(?=\n|\Z))")
_FENCE = re.compile(r"\n[ \t]*+((`|~)\2*+)(.*)", re.DOTALL)

_MARKER = r"(?:[-*+•]|\(?\d{1,3}[.)]|\([a-zA-Z]\)|[a-z]\))[ \t]+(?=\S)"
_BLOCK = re.compile(rf"\n([ \t]*+)(?:{_MARKER}|(\|))")
_LINE = re.compile(r"\n((?:[^\S\n]*+\n)*+)([^\S\n]*+)(?=\S)")
_SEPARATOR_ROW = re.compile(r"\n[ \t]*+\|[ \t:|-]*-[ \t:|-]*+(?=\n|\Z)")


def _opens_math(text: str, at: int) -> bool:
    """Whether the ``$`` at this place can begin a formula."""
    before, after = text[at - 1], text[at + 1 : at + 2]
    if not before.isspace() and (not after or after.isspace()):
        return False
    return not _CURRENCY.match(text, at)


def _closes_math(text: str, at: int) -> bool:
    """Whether the ``$`` at this place can end a formula."""
    before, after = text[at - 1], text[at + 1 : at + 2]
    return not (before.isspace() and after and (after.isalnum() or after in "\\({[+-"))


def _closers(text: str, events: Sequence[re.Match[str]]) -> list[int | None]:
    """For each delimiter the index of the one that closes it, in one pass from the end."""
    closers: list[int | None] = [None] * len(events)
    inline: dict[str, int] = {}  # nearest closing delimiter of each kind within the paragraph
    fences: dict[tuple[str, int], int] = {}
    environments: dict[str, list[int]] = {}
    for index in range(len(events) - 1, -1, -1):
        token = events[index].group()
        if token == "\n":
            inline.clear()
        elif token[0] == "\n":
            inline.clear()
            fence = _FENCE.match(token)
            assert fence
            kind, length = fence[2], len(fence[1])
            fitting = [at for (char, size), at in fences.items() if char == kind and size >= length]
            closers[index] = min(fitting, default=None)
            if not fence[3].strip():
                fences[kind, length] = index
        elif token in _CLOSER:
            closers[index] = inline.get(_CLOSER[token])
        elif token in ("\\)", "\\]"):
            inline[token] = index
        elif token == "$$" or token[0] == "`":
            closers[index] = inline.get(token)
            inline[token] = index
        elif token == "$":
            at = events[index].start()
            if _opens_math(text, at):
                closers[index] = inline.get(token)
            if _closes_math(text, at):
                inline[token] = index
        elif token.startswith("\\end"):
            environments.setdefault(token[4:], []).append(index)
        elif token.startswith("\\begin") and environments.get(token[6:]):
            closers[index] = environments[token[6:]].pop()
    return closers


def find_regions(text: str) -> list[Region]:
    r"""Formulas (``$``, ``$$``, ``\(``, ``\[``, environments), fenced code and inline code: outermost ones, in order.

    Formulas and inline code end within their paragraph; environments and fenced code may hold blank lines.
    """
    padded = f"\n{text}"
    events = list(_EVENT.finditer(padded))
    closers = _closers(padded, events)
    regions: list[Region] = []
    index = 0
    while index < len(events):
        closer = closers[index]
        if closer is None:
            index += 1
            continue
        opening, closing = events[index], events[closer]
        start = opening.end() - len(opening.group().lstrip())
        end = closing.start() + len(closing.group().rstrip())
        regions.append((start - 1, end - 1))
        index = closer + 1
    return regions


def _line_end(text: str, at: int, inner: Sequence[Region]) -> int:
    """End of the line that holds ``at``, after any region that the line runs into."""
    while True:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        index = bisect_right(inner, (end, len(text))) - 1
        if index < 0 or inner[index][1] <= end:
            return end
        at = inner[index][1]


def find_containers(text: str, inner: Sequence[Region]) -> list[Region]:
    """List items, with the more deeply indented lines that continue them, and table rows, in order.

    A nested item is an item of its own; a table's head keeps its separator row.

    Args:
        text: the chain.
        inner: its regions. What looks like an item inside of one is none.
    """
    padded = f"\n{text}"
    inside = [(start + 1, end + 1) for start, end in inner]
    containers: list[Region] = []
    last = 0
    for match in _BLOCK.finditer(padded):
        if match.start() < last:
            continue
        index = bisect_right(inside, (match.start(), len(padded))) - 1
        if index >= 0 and inside[index][1] > match.start():
            continue
        start = match.end(1)
        end = _line_end(padded, start, inside)
        if match[2]:
            if separator := _SEPARATOR_ROW.match(padded, end):
                end = separator.end()
        else:
            while (line := _LINE.match(padded, end)) and len(line[2]) > len(match[1]):
                if _BLOCK.match(padded, line.start(2) - 1):
                    break
                end = _line_end(padded, line.end(), inside)
        while padded[end - 1].isspace():
            end -= 1
        containers.append((start - 1, end - 1))
        last = end
    return containers


def blank_out(text: str, regions: Iterable[Region]) -> str:
    """The text with every region overwritten by one of :data:`FILLERS`, in turn, at unchanged positions."""
    parts: list[str] = []
    at = 0
    for number, (start, end) in enumerate(regions):
        parts += [text[at:start], FILLERS[number % 2] * (end - start)]
        at = end
    return "".join([*parts, text[at:]])
