"""The terminal's view of a run: epochs, segments and summaries as they come, then the answer and what it took.

Model text is always shown as plain text: brackets in it can't become terminal markup, and control characters are
replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import AIMessageChunk
from langgraph.types import StreamMode
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from inftythink_graph.events import Event
from inftythink_graph.graph import InftyThinkGraph
from inftythink_graph.nodes.replies import reasoning_of, text_of
from inftythink_graph.plain_text import one_line_text, printable
from inftythink_graph.protocol import Content, Part
from inftythink_graph.state import EpochRecord, InftyThinkOutput
from inftythink_graph.usage import Usage, add_usage, no_usage

__all__ = ["RunView", "plain", "show_result", "vanilla_cost"]

_BAR = 24  # characters of the context bar
_ROWS = 8  # epochs shown at once


def plain(text: str, limit: int = 0) -> Text:
    """Model text as it may be shown: one line if ``limit`` is given, cut at that many characters."""
    return Text(one_line_text(text, limit) if limit else printable(text))


@dataclass(slots=True)
class _Epoch:
    """One epoch as far as it is known."""

    number: int
    path: int | None = None
    parts: dict[Part, str] = field(default_factory=dict)
    rejected: str | None = None
    heat: float | None = None
    usage: Usage = field(default_factory=no_usage)

    @property
    def outcome(self) -> str:
        return self.parts.get("conclusion") or self.parts.get("summary") or ""


def vanilla_cost(trace: Iterable[EpochRecord]) -> tuple[int, int]:
    """What the same reasoning would be as one chain: its context in tokens, and that number squared."""
    pairs = [pair for record in trace for pair in record["contexts"]]
    context = (pairs[0][0] if pairs else 0) + sum(completion for _, completion in pairs)
    return context, context**2


class RunView:
    """Shows a run's events live (on a terminal, with the tokens as they come) or line by line (elsewhere).

    Args:
        console: where to.
        window: the model's context window in tokens, if known: the full length of the bar.
        max_epochs: most epochs of the run.
    """

    def __init__(self, console: Console, *, window: int | None, max_epochs: int) -> None:
        self.console = console
        self.window = window
        self.max_epochs = max_epochs
        self._epochs: list[_Epoch] = []
        self._live: Live | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show updates while the block runs."""
        if not self.console.is_terminal:
            yield
            return
        with Live(get_renderable=self._panel, console=self.console, refresh_per_second=8, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def event(self, event: Event) -> None:
        """Take one event of the stream mode ``custom``."""
        key = (event["epoch"], cast("int | None", event.get("path")))
        known = (each for each in reversed(self._epochs) if (each.number, each.path) == key)
        epoch = None if event["event"] == "epoch_started" else next(known, None)
        if epoch is None:
            epoch = _Epoch(*key)
            self._epochs.append(epoch)
        if event["event"] == "epoch_started":
            return
        if event["event"] == "stall_noticed":
            epoch.heat = event["temperature"]
            return
        if event["event"] == "segment_done":
            epoch.parts["segment"], epoch.usage = event["segment"], event["usage"]
        elif event["event"] == "answer_rejected":
            epoch.parts["conclusion"], epoch.rejected = event["conclusion"], event["reason"]
        elif event["event"] == "summary_done":
            epoch.parts["summary"], epoch.usage = event["summary"], event["usage"]
        elif event["conclusion"]:
            epoch.parts["conclusion"] = event["conclusion"]
        if self._live is None and event["event"] in ("summary_done", "path_ended", "run_ended"):
            self.console.print(self._line(epoch))

    def token(self, chunk: AIMessageChunk) -> None:
        """Take one piece of the stream mode ``messages``."""
        part, parts = cast(Part, chunk.name), self._epochs[-1].parts
        parts[part] = parts.get(part, "") + (text_of(chunk) or reasoning_of(chunk))

    def watch(self, graph: InftyThinkGraph, question: Content) -> InftyThinkOutput:
        """Run the graph on a question, show it as it thinks, and return the result."""
        result: Any = {}
        modes: list[StreamMode] = ["custom", "values"]
        if self.console.is_terminal:
            modes.append("messages")
        with self.running():
            for mode, chunk in graph.stream({"question": question}, stream_mode=modes):
                if mode == "values":
                    result = chunk
                    continue
                if mode == "custom":
                    self.event(chunk)
                elif isinstance(chunk[0], AIMessageChunk):
                    self.token(chunk[0])
        return cast(InftyThinkOutput, result)

    def _bar(self, tokens: int) -> str:
        full = self.window or max((epoch.usage["peak_context"] for epoch in self._epochs), default=1) or 1
        filled = min(round(_BAR * tokens / full), _BAR)
        return "█" * filled + "░" * (_BAR - filled)

    def _line(self, epoch: _Epoch) -> Text:
        arrow = "=>" if "conclusion" in epoch.parts else "->"
        line = Text("" if epoch.path is None else f"path {epoch.path:>2}  ")
        line += Text(f"epoch {epoch.number:>3}  context {epoch.usage['peak_context']:>6}  {arrow} ")
        line += plain(epoch.outcome, 90)
        if epoch.heat is not None:
            line += Text(f" (the summaries came again: temperature {epoch.heat:g})")
        return line if epoch.rejected is None else line + plain(f" (rejected: {epoch.rejected})", 90)

    def _panel(self) -> RenderableType:
        usage: Usage = no_usage()
        for epoch in self._epochs:
            usage = add_usage(usage, epoch.usage)
        table = Table(box=None, padding=(0, 1), show_header=True, header_style="dim")
        table.add_column("epoch", justify="right")
        table.add_column("context")
        table.add_column("summary or conclusion")
        for epoch in self._epochs[-_ROWS:]:
            text = plain(epoch.outcome or "...", 70)
            text.stylize("red" if epoch.rejected else "bold green" if "conclusion" in epoch.parts else "cyan")
            peak = epoch.usage["peak_context"]
            if epoch.heat is not None:
                text += Text(f" (temperature {epoch.heat:g})", style="yellow")
            table.add_row(str(epoch.number), f"{self._bar(peak)} {peak:>6}", text)
        parts: list[RenderableType] = [table]
        if self._epochs:
            segment = plain(self._epochs[-1].parts.get("segment", "")[-400:])
            segment.stylize("dim")
            title = f"segment {self._epochs[-1].number}"
            parts.append(Panel(segment, title=title, title_align="left", border_style="dim"))
        foot = (
            f"epoch {len(self._epochs)} of at most {self.max_epochs} | {usage['completion_tokens']:,} tokens generated"
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
