"""Stop sequences for an answer, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["StopAt"]


@dataclass(slots=True)
class StopAt:
    """Passes a text on, piece by piece, up to the first stop sequence.

    A piece that may be the beginning of a stop sequence is held back until that is certain.

    Attributes:
        sequences: the stop sequences; none of them is passed on.
        stopped: one of them has come.
    """

    sequences: Sequence[str] = ()
    stopped: bool = field(default=False, init=False)
    _held: str = field(default="", init=False)

    def feed(self, text: str) -> str:
        """Take the next piece; returns what is certain by now."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for stop in self.sequences if stop and (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self.sequences), default=0)
        certain = text[: len(text) - keep]
        self._held = text[len(certain) :]
        return certain

    def close(self) -> str:
        """The text has ended: what was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``stop``."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
