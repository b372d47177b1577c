"""Who wants to know what happens in a run: its progress, its metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich.console import Console

from inftythink_graph.progress import LINE_EVERY, ProgressView, Rates
from inftythink_graph.runner.endpoints import Endpoint, EndpointPool
from inftythink_graph.runner.faults import Fault
from inftythink_graph.runner.tally import Tally

__all__ = ["Observer", "RunProgress"]


class Observer:
    """Is told what happens in a run; each method does nothing until a subclass has it do something."""

    def begin(self, tally: Tally, pool: EndpointPool) -> None:
        """The run starts; ``tally`` is counted on."""

    def started(self) -> None:
        """A question is begun."""

    def replied(self, usage: Mapping[str, Any] | None) -> None:
        """A new reply came, with LangChain's ``usage_metadata``."""

    def answered(self, endpoint: Endpoint, seconds: float) -> None:
        """A request was answered, of those that count tokens, too."""

    def met_fault(self, endpoint: Endpoint, fault: Fault) -> None:
        """A request met a fault of a server; it is made again."""

    def finished(self, result: Mapping[str, Any]) -> None:
        """A question is finished, and its result is written down."""

    def end(self) -> None:
        """The run is over, or broken off."""


class RunProgress(ProgressView, Observer):
    """A line about the run: beside a bar on a terminal, else now and then, and the summary at its end.

    Args:
        console, every: as for :class:`~inftythink_graph.progress.ProgressView`.
    """

    def __init__(self, console: Console | None = None, *, every: float = LINE_EVERY) -> None:
        super().__init__(console, every=every)
        self._rates = Rates()
        self._under_way = 0
        self._tally = Tally()
        self._pool: EndpointPool | None = None

    def begin(self, tally: Tally, pool: EndpointPool) -> None:
        """Start showing."""
        self._tally, self._pool = tally, pool
        self._begin(tally.total, tally.kept)
        self._note()

    def started(self) -> None:
        """One more is under way."""
        self._under_way += 1

    def replied(self, usage: Mapping[str, Any] | None) -> None:
        """Show the line."""
        self._show(self._note(), self._tally.kept + self._tally.finished, self.line)

    def finished(self, result: Mapping[str, Any]) -> None:
        """One less is under way."""
        self._under_way -= 1

    def end(self) -> None:
        """Show the summary."""
        self._note()
        self._end(self.line())
        for line in self._tally.lines():
            self.say(line)

    def line(self) -> str:
        """How the run stands."""
        tally = self._tally
        done = tally.kept + tally.finished
        questions, tokens = self._rates.a_second()
        parts = [f"{done:,}" + (f" of {tally.total:,}" if tally.total is not None else "")]
        parts += [f"({tally.kept:,} from before)"] if tally.kept else []
        parts += [f"{self._under_way:,} under way"]
        parts += [f"{tokens:,.0f} tokens/s"] if tokens else []
        parts += [f"{tally.faults.total():,} requests made again"] if tally.faults else []
        away = [endpoint.name for endpoint in self._pool.endpoints if not endpoint.up] if self._pool else []
        parts += [f"away: {', '.join(away)}"] if away else []
        if tally.total is not None and questions:
            parts += [f"{timedelta(seconds=round((tally.total - done) / questions))} left"]
        return ", ".join(parts)

    def _note(self) -> float:
        now = time.monotonic()
        self._rates.note(now, self._tally.finished, self._tally.completion_tokens)
        return now
