"""Text that ends in the same piece over and over, as models write that have lost their way."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RepeatedTail", "repeated_tail", "without_repeated_tail"]

_WINDOW = 8192  # characters at the end of a text that are looked at
_COUNT = 4
_SHORTEST = 120  # characters that the repetitions must fill, so that "0000" or "ha ha ha ha" are none


@dataclass(frozen=True, slots=True)
class RepeatedTail:
    """Where and how a text repeats itself.

    Attributes:
        start: where the first of the repeated pieces begins, in characters.
        period: the length of a piece.
    """

    start: int
    period: int


def repeated_tail(text: str) -> RepeatedTail | None:
    """The repetition that a text ends in; None where it doesn't end in one.

    At least four copies of one piece in a row, the last of which may be incomplete, over at least 120 characters. Looks
    at the last 8,192 characters; takes time in proportion to them (the prefix function of Knuth, Morris and Pratt, of
    the text read backwards).
    """
    tail = text[-_WINDOW:][::-1]
    borders = [0] * len(tail)
    found: RepeatedTail | None = None
    border = 0
    for place in range(1, len(tail)):
        while border and tail[place] != tail[border]:
            border = borders[border - 1]
        border += tail[place] == tail[border]
        borders[place] = border
        length = place + 1
        period = length - border
        if length >= max(_COUNT * period, _SHORTEST):
            found = RepeatedTail(len(text) - length, period)
    return found


def without_repeated_tail(text: str) -> str:
    """The text with one copy of the piece that it ends in over and over, and a mark that there were more."""
    found = repeated_tail(text)
    if found is None:
        return text
    return f"{text[: found.start + found.period].rstrip()}\n[...]"
