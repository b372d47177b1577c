"""What long runs show: a line about their counts and rates, beside a bar on a terminal, else now and then."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from inftythink_graph.plain_text import printable

__all__ = ["LINE_EVERY", "ProgressView", "Rates", "say"]

LINE_EVERY = 30.0
"""Seconds between two lines where there is no terminal."""
_WINDOW = 300.0  # seconds that rates are taken over


def say(console: Console, line: str) -> None:
    """One line as it is: what others named or wrote is no markup, and moves nothing on a terminal."""
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


class Rates:
    """Items and tokens a second over the last minutes, so that a resumed start doesn't promise too much."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def note(self, now: float, items: int, tokens: int) -> None:
        """Note the counts at a time in seconds."""
        self._seen.append((now, items, tokens))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    def a_second(self) -> tuple[float, float]:
        """(items, tokens) a second; zeros before there is a stretch to measure."""
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return 0.0, 0.0
        (start, *before), (end, *now) = self._seen[0], self._seen[-1]
        items, tokens = ((b - a) / (end - start) for a, b in zip(before, now, strict=True))
        return items, tokens


class ProgressView:
    """A line about a run, beside a bar on a terminal, otherwise printed now and then. For subclasses to fill.

    Args:
        console: where to; None is the standard error.
        every: seconds between two lines where there is no terminal.
        title: what is run; stands before the bar.
    """

    def __init__(self, console: Console | None = None, *, every: float = LINE_EVERY, title: str = "") -> None:
        self.console = console or Console(stderr=True)
        self._title, self._every, self._last = title, every, 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def say(self, message: str) -> None:
        """One line, above the bar."""
        say(self.console, message)

    def _begin(self, total: int | None, completed: int = 0) -> None:
        self._last = time.monotonic()
        if self.console.is_terminal:
            title = [TextColumn("{task.fields[title]}", markup=False)] if self._title else []
            columns = (*title, BarColumn(bar_width=20), TextColumn("{task.description}", markup=False))
            self._bar = Progress(*columns, console=self.console)
            self._task = self._bar.add_task("", total=total, completed=completed, title=printable(self._title))
            self._bar.start()

    def _show(self, now: float, completed: int, line: Callable[[], str]) -> None:
        """Show the line, which is made only if it is shown."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=completed, description=line())
        elif now - self._last >= self._every:
            self._last = now
            self.say(line())

    def _end(self, line: str) -> None:
        """Leave the terminal as it was, and the last line on it."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
        else:
            self.say(line)
