"""How far a build is: counts that the pipeline keeps, and a line or a bar that shows them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from datasets_build.sources.funnel import Funnel
from datasets_build.summaries.nodes import SummaryUsage

__all__ = ["BuildCounts", "BuildView", "Rates", "progress_line"]

_WINDOW = 300.0  # seconds that rates are taken over
_LINE_EVERY = 30.0


@dataclass(slots=True)
class BuildCounts:
    """Counts of one run.

    Attributes:
        funnel: of the reading, while it goes on.
        total_rows: rows that there are to read; None if unknown.
        kept: examples that an earlier run had finished.
        cut: examples that were cut.
        done: examples that were summarized.
        failed: examples that can't be used.
        under_way: examples between being read and being finished, and the most there ever were.
        most_under_way: the same, at its highest.
        paid_requests, paid_tokens: requests that were made, and their tokens (prompt and reply).
        reused: requests that an earlier run had paid for.
    """

    funnel: Funnel = field(default_factory=Funnel)
    total_rows: int | None = None
    kept: int = 0
    cut: int = 0
    done: int = 0
    failed: int = 0
    under_way: int = 0
    most_under_way: int = 0
    paid_requests: int = 0
    paid_tokens: int = 0
    reused: int = 0

    def begin(self) -> None:
        """An example was read that isn't finished yet."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

    def finish(self, *, failed: bool, usage: SummaryUsage | None = None) -> None:
        """An example came to its end."""
        self.under_way -= 1
        self.failed += failed
        self.done += not failed
        if usage is not None:
            self.paid_requests += usage["paid"]["requests"]
            self.paid_tokens += usage["paid"]["prompt_tokens"] + usage["paid"]["completion_tokens"]
            self.reused += usage["reused"]["requests"]

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return self.funnel.entered("rows")


class Rates:
    """Rows and tokens a second over the last minutes, so that a resumed start doesn't promise too much."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def note(self, now: float, rows: int, tokens: int) -> None:
        """Note the counts at a time in seconds."""
        self._seen.append((now, rows, tokens))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    def a_second(self) -> tuple[float, float]:
        """(rows, tokens) a second; zeros before there is a stretch to measure."""
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return 0.0, 0.0
        (start, *before), (end, *now) = self._seen[0], self._seen[-1]
        rows, tokens = ((b - a) / (end - start) for a, b in zip(before, now, strict=True))
        return rows, tokens


def progress_line(counts: BuildCounts, rates: Rates) -> str:
    """All counts in one line."""
    rows, tokens = rates.a_second()
    total = f" of {counts.total_rows:,}" if counts.total_rows is not None else ""
    parts = [f"rows {counts.rows:,}{total} ({rows:,.1f}/s)", f"examples {counts.kept + counts.done:,}"]
    if counts.kept:
        parts[-1] += f" ({counts.kept:,} from before)"
    parts.append(f"failed {counts.failed:,}")
    if counts.paid_requests or counts.reused:
        parts.append(f"requests {counts.paid_requests:,} ({tokens:,.0f} tokens/s), {counts.reused:,} from the cache")
    parts.append(f"under way {counts.under_way:,}")
    if counts.total_rows is not None and rows > 0:
        left = max(counts.total_rows - counts.rows, 0) / rows
        parts.append(f"{timedelta(seconds=round(left))} left")
    return ", ".join(parts)


class BuildView:
    """Shows the counts: a bar on a terminal, otherwise a line now and then.

    Args:
        console: where to; None is the standard error.
        every: seconds between two lines where there is no terminal.
    """

    def __init__(self, console: Console | None = None, *, every: float = _LINE_EVERY) -> None:
        self.console = console or Console(stderr=True)
        self._every = every
        self._rates = Rates()
        self._last = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def say(self, message: str) -> None:
        """One line, above the bar."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def start(self, counts: BuildCounts) -> None:
        """Begin to show a run."""
        self._last = time.monotonic()
        self._rates.note(self._last, counts.rows, counts.paid_tokens)
        if self.console.is_terminal:
            self._bar = Progress(BarColumn(bar_width=20), TextColumn("{task.description}"), console=self.console)
            self._task = self._bar.add_task("", total=counts.total_rows)
            self._bar.start()

    def update(self, counts: BuildCounts) -> None:
        """Show the counts as they are now."""
        now = time.monotonic()
        self._rates.note(now, counts.rows, counts.paid_tokens)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=counts.rows, description=progress_line(counts, self._rates))
        elif now - self._last >= self._every:
            self._last = now
            self.say(progress_line(counts, self._rates))

    def stop(self, counts: BuildCounts) -> None:
        """Show the last counts and leave the terminal as it was."""
        self.update(counts)
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None
        else:
            self.say(progress_line(counts, self._rates))
