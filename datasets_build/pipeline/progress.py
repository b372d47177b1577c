"""How far a build is: counts that the pipeline keeps, and a line or a bar that shows them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console

from datasets_build.sources.funnel import Funnel
from datasets_build.summaries.nodes import SummaryUsage
from inftythink_graph.progress import LINE_EVERY, ProgressView, Rates

__all__ = ["BuildCounts", "BuildView", "progress_line"]


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


class BuildView(ProgressView):
    """Shows the counts of a build. Arguments as for :class:`~inftythink_graph.progress.ProgressView`."""

    def __init__(self, console: Console | None = None, *, every: float = LINE_EVERY) -> None:
        super().__init__(console, every=every)
        self._rates = Rates()

    def start(self, counts: BuildCounts) -> None:
        """Begin to show a run."""
        self._begin(counts.total_rows)
        self._rates.note(time.monotonic(), counts.rows, counts.paid_tokens)

    def update(self, counts: BuildCounts) -> None:
        """Show the counts as they are now."""
        now = time.monotonic()
        self._rates.note(now, counts.rows, counts.paid_tokens)
        self._show(now, counts.rows, lambda: progress_line(counts, self._rates))

    def stop(self, counts: BuildCounts) -> None:
        """Show the last counts and leave the terminal as it was."""
        self.update(counts)
        self._end(progress_line(counts, self._rates))
