"""The terminal's view of a run: epochs, segments and summaries as they come, then the answer and what it took.

Model text is always shown as plain text: brackets in it can't become terminal markup, and control characters are
replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from inftythink_graph.graph import InftyThinkGraph
from inftythink_graph.protocol import Content
from inftythink_graph.state import EpochRecord, InftyThinkOutput, Usage, add_usage, no_usage

__all__ = ["RunView", "plain", "show_result", "vanilla_cost"]

_BAR = 24  # characters of the context bar
_ROWS = 8  # epochs shown at once


def plain(text: str, limit: int = 0) -> Text:
    """Model text as it may be shown: one line if ``limit`` is given, cut at that many characters."""
    if limit:
        text = " ".join(text.split())
        text = text if len(text) <= limit else text[: limit - 1] + "…"
    return Text("".join(char if char.isprintable() or char == "\n" else "�" for char in text))


def _peak(record: EpochRecord) -> int:
    return max((sum(pair) for pair in record["contexts"]), default=0)


def vanilla_cost(trace: Iterable[EpochRecord]) -> tuple[int, int]:
    """What the same reasoning would be as one chain: its context in tokens, and that number squared."""
    pairs = [pair for record in trace for pair in record["contexts"]]
    context = (pairs[0][0] if pairs else 0) + sum(completion for _, completion in pairs)
    return context, context**2


class RunView:
    """Collects a graph's ``updates`` stream and shows it live (on a terminal) or line by line (elsewhere).

    Args:
        console: where to.
        window: the model's context window in tokens, if known: the full length of the bar.
        max_epochs: most epochs of the run.
    """

    def __init__(self, console: Console, *, window: int | None, max_epochs: int) -> None:
        self.console = console
        self.window = window
        self.max_epochs = max_epochs
        self.records: list[EpochRecord] = []
        self._live: Live | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show updates while the block runs."""
        if not self.console.is_terminal:
            yield
            return
        with Live(self._panel(), console=self.console, refresh_per_second=8, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def update(self, chunk: dict[str, Any]) -> None:
        """Take one chunk of ``graph.stream(..., stream_mode="updates")``."""
        for node, update in chunk.items():
            record = (update or {}).get("epoch")
            if record is None:
                continue
            if self.records and self.records[-1]["epoch"] == record["epoch"]:
                self.records[-1] = record
            else:
                self.records.append(record)
            settled = node == "summarize" or (node == "check_answer" and update.get("status") is not None)
            if self._live is not None:
                self._live.update(self._panel())
            elif settled:
                self.console.print(self._line(record))

    def watch(self, graph: InftyThinkGraph, question: Content) -> InftyThinkOutput:
        """Run the graph on a question, show it as it thinks, and return the result."""
        result: Any = {}
        with self.running():
            for mode, chunk in graph.stream({"question": question}, stream_mode=["updates", "values"]):
                if mode == "updates":
                    self.update(chunk)
                else:
                    result = chunk
        return cast(InftyThinkOutput, result)

    def _bar(self, tokens: int) -> str:
        full = self.window or max((_peak(record) for record in self.records), default=1) or 1
        filled = min(round(_BAR * tokens / full), _BAR)
        return "█" * filled + "░" * (_BAR - filled)

    def _line(self, record: EpochRecord) -> Text:
        text = record["conclusion"] or record["summary"]
        arrow = "=>" if record["conclusion"] else "->"
        return Text(f"epoch {record['epoch']:>3}  context {_peak(record):>6}  {arrow} ") + plain(text, 90)

    def _panel(self) -> RenderableType:
        usage: Usage = no_usage()
        for record in self.records:
            usage = add_usage(usage, record["usage"])
        table = Table(box=None, padding=(0, 1), show_header=True, header_style="dim")
        table.add_column("epoch", justify="right")
        table.add_column("context")
        table.add_column("summary or conclusion")
        for record in self.records[-_ROWS:]:
            text = plain(record["conclusion"] or record["summary"] or "...", 70)
            text.stylize("bold green" if record["conclusion"] else "cyan")
            table.add_row(str(record["epoch"]), f"{self._bar(_peak(record))} {_peak(record):>6}", text)
        parts: list[RenderableType] = [table]
        if self.records:
            segment = plain(self.records[-1]["segment"][-400:])
            segment.stylize("dim")
            title = f"segment {self.records[-1]['epoch']}"
            parts.append(Panel(segment, title=title, title_align="left", border_style="dim"))
        foot = (
            f"epoch {len(self.records)} of at most {self.max_epochs} | {usage['completion_tokens']:,} tokens generated"
            f" | peak context {usage['peak_context']:,}" + (f" of {self.window:,}" if self.window else "")
        )
        return Panel(Group(*parts, Text(foot, style="dim")), title="thinking", border_style="blue")


def show_result(console: Console, result: InftyThinkOutput, *, window: int | None) -> None:
    """Print the answer, how the run ended, and what it took."""
    usage, trace = result["usage"], result.get("trace", [])
    style = "green" if result["status"] == "answered" else "yellow"
    body = plain(result["conclusion"] or "(no conclusion)")
    title = Text(f"{result['status']}: ") + plain(result["answer"] or "no answer", 60)
    console.print(Panel(body, title=title, border_style=style))
    facts = Table.grid(padding=(0, 2))
    facts.add_row("epochs", f"{result['epochs']}")
    facts.add_row("peak context", f"{usage['peak_context']:,} tokens" + (f" (window {window:,})" if window else ""))
    facts.add_row("generated", f"{usage['completion_tokens']:,} tokens in {usage['requests']} requests")
    if usage["cached_tokens"]:
        facts.add_row("prompts", f"{usage['prompt_tokens']:,} tokens, {usage['cached_tokens']:,} from the cache")
    if trace and usage["sum_squared_tokens"]:
        context, squared = vanilla_cost(trace)
        ratio = squared / usage["sum_squared_tokens"]
        facts.add_row("as one chain", f"{context:,} tokens of context, {ratio:.1f} times the cost (tokens squared)")
    facts.add_row("time", f"{usage['seconds']:.1f} s waiting for the model")
    console.print(facts)
