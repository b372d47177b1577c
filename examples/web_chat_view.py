"""What the web chat shows of a run: the stream of the graph folded into a picture of it, and that picture as a page.

Nothing here knows the model or the server. All text of a model is escaped, or handed over as plain text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from inftythink_graph.plain_text import one_line_text, printable
from inftythink_graph.state import Usage, add_usage, no_usage

__all__ = ["Epoch", "Run", "answer_html", "meter_html", "thoughts"]

_WORDS = {
    "answered": "answered",
    "rejected": "every answer was rejected",
    "exhausted": "out of epochs",
    "stalled": "stalled: the summaries stopped changing",
    "stopped": "stopped",
    "failed": "failed",
}

_LATEST = 8  # epochs shown at once
_KEPT = "\n\t\u200c\u200d"  # the joiners of words and emoji move nothing


@dataclass(slots=True)
class Epoch:
    """One epoch as far as it has come. ``usage`` is known once the segment is done."""

    number: int
    segment: str = ""
    summary: str = ""
    conclusion: str = ""
    rejected: str = ""
    usage: Usage | None = None


@dataclass(slots=True)
class Run:
    """A run as far as it has come.

    Attributes:
        window: the model's context window in tokens, if known.
        epochs: the epochs, the last one under way.
        max_epochs: most epochs of the run.
        status: how it ended: a status of the graph, ``stopped`` or ``failed``; "" while it runs.
        answer: the extracted answer.
        conclusion: the closing text.
        error: what went wrong.
        usage: of the whole run, as far as it is known.
        changes: grows with everything that is taken in.
    """

    window: int | None = None
    epochs: list[Epoch] = field(default_factory=list)
    max_epochs: int = 0
    status: str = ""
    answer: str | None = None
    conclusion: str = ""
    error: str = ""
    usage: Usage = field(default_factory=no_usage)
    changes: int = 0

    def take(self, mode: str, item: Any) -> None:
        """One item of ``graph.stream(..., stream_mode=["messages", "custom"])``."""
        self.changes += 1
        if mode == "messages":
            self._take_token(item[0])
        else:
            getattr(self, f"_{item['event']}", lambda event: None)(item)

    def end(self, status: str, error: str = "") -> None:
        """The run was ended from outside."""
        self.changes += 1
        self.status, self.error = status, error

    def _take_token(self, chunk: Any) -> None:
        if not self.epochs or chunk.name not in ("segment", "summary", "conclusion"):
            return
        reasoning = (block.get("reasoning", "") for block in chunk.content if isinstance(block, dict))
        text = chunk.content if isinstance(chunk.content, str) else "".join(reasoning)
        epoch = self.epochs[-1]
        setattr(epoch, chunk.name, getattr(epoch, chunk.name) + text)

    def _epoch_started(self, event: Any) -> None:
        self.max_epochs = event["max_epochs"]
        self.epochs.append(Epoch(event["epoch"]))

    def _segment_done(self, event: Any) -> None:
        self.epochs[-1].segment = event["segment"]
        self._known(event["usage"])

    def _summary_done(self, event: Any) -> None:
        self.epochs[-1].summary = event["summary"]
        self._known(event["usage"])

    def _answer_rejected(self, event: Any) -> None:
        self.epochs[-1].rejected = event["reason"] or "the check failed"
        self.epochs[-1].conclusion = event["conclusion"]
        self._known(event["usage"])

    def _run_ended(self, event: Any) -> None:
        self.status, self.answer, self.conclusion = event["status"], event["answer"], event["conclusion"]
        self.usage = event["usage"]

    def _known(self, usage: Usage) -> None:
        self.epochs[-1].usage = usage
        self.usage = no_usage()
        for epoch in self.epochs:
            if epoch.usage is not None:
                self.usage = add_usage(self.usage, epoch.usage)

    @property
    def chain(self) -> int:
        """Tokens in context if all of it were one chain: the first prompt and everything generated."""
        first = self.epochs[0].usage if self.epochs else None
        return first["prompt_tokens"] // first["requests"] + self.usage["completion_tokens"] if first else 0


def _shown(text: str) -> str:
    """Model text as HTML: no markup, and no character that turns the line around."""
    return escape(printable(text, _KEPT))


def _epoch_text(epoch: Epoch) -> str:
    parts = [epoch.segment]
    if epoch.conclusion and epoch.rejected:
        parts.append(f"✗ {epoch.conclusion}\n   rejected: {epoch.rejected}")
    if epoch.summary:
        parts.append(f"→ {epoch.summary}")
    # Without Markdown, the chat puts what it gets into the page as HTML.
    return _shown("\n\n".join(part for part in parts if part)) or "…"


def _gist(epoch: Epoch, most: int = 80) -> str:
    """An epoch in one line."""
    text = one_line_text(epoch.summary or epoch.conclusion, most, _KEPT)
    return f"→ {text}" if text else ""


def thoughts(run: Run, key: str) -> list[dict[str, Any]]:
    """The thinking as messages of ``gradio.Chatbot``: one thought, and in it one for each epoch, the current one open.

    While it goes on, only the last epochs are there: the browser lays all of it out again with every refresh.

    Titles hold numbers only. What the model wrote is content, escaped, or a log, which the chat shows as it is.

    Args:
        run: what to show.
        key: identifies the run among those of the chat.
    """
    over = bool(run.status)
    count = len(run.epochs)
    epochs = f"{count} epoch{'s' * (count != 1)}"
    head: dict[str, Any] = {
        "title": f"Thought for {epochs}" if over else "Thinking",
        "log": "" if over else f"epoch {count} of at most {run.max_epochs}" if count else "",
        "id": key,
        "status": "done" if over else "pending",
    }
    shown = run.epochs if over else run.epochs[-_LATEST:]
    earlier = f"epochs 1 to {count - len(shown)} come back when it is done" if len(shown) < count else ""
    messages = [{"role": "assistant", "content": earlier, "metadata": head}]
    for epoch in shown:
        current = not over and epoch is run.epochs[-1]
        metadata = {
            "title": f"Epoch {epoch.number}",
            "log": "" if current else _gist(epoch),
            "id": f"{key}.{epoch.number}",
            "parent_id": key,
            "status": "pending" if current else "done",
        }
        messages.append({"role": "assistant", "content": _epoch_text(epoch), "metadata": metadata})
    return messages


def answer_html(run: Run) -> str:
    """The answer, how the run ended and what it took, as HTML."""
    usage = run.usage
    text = run.conclusion or run.error or "No answer."
    facts = [f"{len(run.epochs)} epochs", f"{usage['completion_tokens']:,} tokens generated"]
    if usage["peak_context"]:
        of = f" of {run.window:,}" if run.window else ""
        facts.append(f"peak context {usage['peak_context']:,}{of}")
    facts.append(f"{usage['seconds']:.1f} s of model time")
    answer = f'<div class="it-answer">{_shown(run.answer)}</div>' if run.answer else ""
    return (
        f'<div class="it-result it-{escape(run.status)}"><div class="it-text">{_shown(text)}</div>{answer}'
        f'<div class="it-facts"><span class="it-status">{_WORDS.get(run.status, escape(run.status))}</span>'
        f"{' · '.join(facts)}</div></div>"
    )


def _bars(run: Run) -> str:
    """One bar for each epoch: its peak context, against the window or else against the largest."""
    peaks = [epoch.usage["peak_context"] for epoch in run.epochs if epoch.usage]
    full = run.window or max(peaks, default=1) or 1
    width = max(len(peaks), 40)
    heights = [40 * min(peak / full, 1) for peak in peaks]
    bars = "".join(
        f'<rect x="{at + 0.1:.1f}" y="{40 - height:.2f}" width="0.8" height="{height:.2f}"/>'
        for at, height in enumerate(heights)
    )
    return f'<svg viewBox="0 0 {width} 40" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>'


def meter_html(run: Run) -> str:
    """The state of the context as HTML: numbers and bars, no text of the model."""
    known = [epoch.usage for epoch in run.epochs if epoch.usage]
    context = known[-1]["peak_context"] if known else 0
    of = f" of {run.window:,}" if run.window else ""
    times = f" · {run.chain / run.window:.1f} windows" if run.window and run.chain > run.window else ""
    cells = [
        ("epoch", f"{len(run.epochs)}", f"of at most {run.max_epochs}"),
        ("context", f"{context:,}", f"{of.strip()} tokens".strip()),
        ("as one chain", f"{run.chain:,}", f"tokens{times}"),
    ]
    shown = "".join(
        f'<div class="it-cell"><div class="it-name">{name}</div><b>{value}</b> <span>{note}</span></div>'
        for name, value, note in cells
    )
    top = "window" if run.window else "largest"
    return (
        f'<div class="it-meter" data-epochs="{len(run.epochs)}">{shown}'
        f'<div class="it-bars" data-top="{top}" title="context of each epoch">{_bars(run)}</div></div>'
    )
