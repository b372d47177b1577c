"""Telling segment, summary and conclusion apart while a completion is still being written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from inftythink_graph.protocol.tags import SUMMARY, TAGS, THINK, close_tag, open_tag, without_partial_tag

__all__ = ["Part", "PartStream"]

Part: TypeAlias = Literal["segment", "summary", "conclusion"]


@dataclass(slots=True)
class PartStream:
    """Sorts the pieces of one completion, as they come, into the parts that they belong to.

    What it gives is final: a piece that may still turn out to be a tag, or white space at the end of a part, is held
    back. For a completion in the format, the pieces of a part together are what
    :func:`~inftythink_graph.protocol.parse` makes of it. Other completions may be read differently as a whole: where
    nothing says that the reasoning has ended, all of it counts as reasoning, and what follows a finished summary is
    left out.

    Attributes:
        asked: what the request asks for: a whole epoch (``segment``), a ``summary`` alone, or a ``conclusion`` alone.
            Reasoning before a summary or conclusion that was asked for alone is left out.
    """

    asked: Part = "segment"
    _part: Part | None = field(default=None, init=False)
    _buffer: str = field(default="", init=False)
    _begun: bool = field(default=False, init=False)
    _space: str = field(default="", init=False)
    _ended: bool = field(default=False, init=False)
    _thinking: bool = field(default=False, init=False)
    _apart: bool = field(default=False, init=False)

    def feed(self, text: str, *, reasoning: str = "") -> list[tuple[Part, str]]:
        """Take the next piece; ``reasoning`` is what the server delivers in a field of its own."""
        pieces: list[tuple[Part, str]] = []
        if reasoning:
            if not self._apart:
                self._apart = True
                self._enter("segment")
            if self.asked == "segment":
                self._write("segment", reasoning, pieces)
        if text:
            if self._apart and self._part == "segment":
                self._enter(None)
            self._buffer += text
            self._advance(pieces)
        return pieces

    def close(self, *, cut: bool = False) -> list[tuple[Part, str]]:
        """The completion is at its end: what was held back and is no tag after all.

        Args:
            cut: a token limit ended it, perhaps in the middle of a tag.
        """
        pieces: list[tuple[Part, str]] = []
        if not self._ended:
            text = without_partial_tag(self._buffer) if cut else self._buffer
            part = self._part or self._default()
            if part != "segment" or self.asked == "segment":
                self._write(part, text, pieces)
        self._buffer = ""
        return pieces

    def _default(self) -> Part:
        """What text without a tag in front belongs to: what was asked for, or the end of an epoch that has thought."""
        has_thought = self._apart or self._thinking
        return "conclusion" if has_thought and self.asked == "segment" else self.asked

    def _enter(self, part: Part | None) -> None:
        self._part, self._begun, self._space = part, False, ""

    def _advance(self, pieces: list[tuple[Part, str]]) -> None:
        while self._buffer and not self._ended:
            if self._part is None and not self._choose():
                return
            if not self._flow(pieces):
                return

    def _choose(self) -> bool:
        """Decide what begins here; False while that can't be said."""
        head = self._buffer.lstrip()
        if not head:
            return False
        begins: tuple[tuple[str, Part], ...] = ((open_tag(THINK), "segment"), (open_tag(SUMMARY), "summary"))
        for tag, part in begins:
            if head.startswith(tag):
                self._buffer = head[len(tag) :]
                self._thinking = self._thinking or part == "segment"
                self._enter(part)
                return True
            if tag.startswith(head):
                return False
        self._enter(self._default())
        return True

    def _flow(self, pieces: list[tuple[Part, str]]) -> bool:
        """Pass on what is certain of the current part; False when more is needed."""
        part = self._part
        assert part is not None
        hidden = part == "segment" and self.asked != "segment"
        start, tag = _first_tag(self._buffer)
        certain = self._buffer[: start if tag else _held_from(self._buffer)]
        self._buffer = self._buffer[len(certain) :]
        if not hidden:
            self._write(part, certain, pieces)
        if not tag:
            return False
        self._buffer = self._buffer[len(tag) :]
        if part == "segment" and tag == close_tag(THINK):
            self._thinking = True
            self._enter(None)
        elif part == "segment" and tag == open_tag(SUMMARY):
            self._enter("summary")
        elif part == "summary" and tag == close_tag(SUMMARY):
            self._ended = True
        return True

    def _write(self, part: Part, text: str, pieces: list[tuple[Part, str]]) -> None:
        if not self._begun:
            text = text.lstrip()
        body = text.rstrip()
        if body:
            pieces.append((part, self._space + body))
            self._begun = True
            self._space = text[len(body) :]
        elif self._begun:
            self._space += text


def _first_tag(text: str) -> tuple[int, str]:
    """Where the first tag stands, and which; (-1, "") where there is none."""
    found = [(at, tag) for tag in TAGS if (at := text.find(tag)) >= 0]
    return min(found) if found else (-1, "")


def _held_from(text: str) -> int:
    """From where on a text may be the beginning of a tag."""
    start = text.rfind("<")
    if start >= 0 and any(tag.startswith(text[start:]) for tag in TAGS):
        return start
    return len(text)
