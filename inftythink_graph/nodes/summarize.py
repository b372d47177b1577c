"""The node ``summarize``: the summary that the next epoch starts from.

It takes the one that the model wrote. Where there is none (the segment was cut, or malformed) or it is over budget, the
model is asked for one, from the segment it has: a segment is never thrown away and never silently sampled again.
"""

from __future__ import annotations

from typing import Any

from inftythink_graph.events import SummaryDone
from inftythink_graph.messages import asked_question
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.nodes.flow import Ask, Describe, Emit, Flow, Measure, Show
from inftythink_graph.nodes.lengths import SummaryLengths
from inftythink_graph.nodes.reason import epoch_room, sampling
from inftythink_graph.nodes.replies import Reply
from inftythink_graph.protocol import parse_summary
from inftythink_graph.repetition import without_repeated_tail
from inftythink_graph.stalls import note_summary
from inftythink_graph.state import EpochRecord, InftyThinkState, Resolved, Settings, add_usage, with_request

__all__ = ["rejection_note", "summarize"]

_LONGEST_REASON = 300  # characters of a verifier's reason that go into the summary
_LONGEST_ANSWER = 100  # characters of the rejected answer that do
_NEAR_BUDGET = 0.9  # share of the budget from which on a summary is measured exactly


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def rejection_note(answer: str | None, reason: str) -> str:
    """What the next epoch reads about an answer that was turned down."""
    short = _shortened(reason, _LONGEST_REASON)
    given = f"The answer {_shortened(answer, _LONGEST_ANSWER)}" if answer else "The conclusion"
    return f"{given} was checked and rejected{': ' + short if short else ''}. Find the mistake and correct it."


def _tail(text: str, budget: int) -> str:
    """The end of a text, about ``budget`` tokens of it (at three characters a token, on the safe side)."""
    return text[-3 * budget :]


def _is_over_budget(record: EpochRecord, resolved: Resolved, lengths: SummaryLengths) -> Flow:
    """Whether the model's own summary is longer than the budget; counted only where it may be."""
    summary, budget = record["summary"], resolved.summary_budget
    share = len(summary) / max(len(summary) + len(record["segment"]), 1)
    estimate = share * record["usage"]["completion_tokens"]
    if estimate <= _NEAR_BUDGET * budget or lengths.likely_within(summary, budget):
        return {"over": False}
    with_text = yield Measure([{"role": "user", "content": summary}])
    without = yield Measure([{"role": "user", "content": "."}], once=True)
    if with_text is None or without is None:
        return {"over": estimate > budget}
    tokens = with_text - without + 1
    lengths.counted(summary, tokens)
    return {"over": tokens > budget}


def _with_note(state: InftyThinkState, summary: str, info: ModelInfo, resolved: Resolved) -> Flow:
    """The summary with the rejection's note: without the reason, or without the note, where the window is too small.

    A note comes on top of the summary's budget, so it takes what the window has left beside the rest of an epoch.
    """
    record = state["epoch"]
    for note in (rejection_note(record["answer"], record["verdict"]), rejection_note(record["answer"], "")):
        noted = f"{summary}\n{note}" if summary else note
        tokens = None
        if info.window is not None:
            tokens = yield Measure(resolved.protocol.render(asked_question(state), noted))
        if tokens is None or info.window is None or tokens + epoch_room(resolved) <= info.window:
            return {"summary": noted}
    return {"summary": summary}


def summarize(state: InftyThinkState, settings: Settings, *, lengths: SummaryLengths) -> Flow:
    """Settle the summary of the epoch that has just ended without an accepted answer.

    Args:
        state: of the run.
        settings: of the run.
        lengths: what is known of the lengths of this graph's summaries.
    """
    record = state["epoch"]
    if record["conclusion"] and settings.on_rejected == "restart":
        return (
            yield from _settled(
                settings, {"summary": "", "epoch": {**record, "summary": ""}, "repeats": 0, "recent": []}
            )
        )
    info: ModelInfo = yield Describe()
    resolved = settings.resolve(info.card)
    before, summary, usage = state["summary"], record["summary"], state["usage"]
    if summary and (yield from _is_over_budget(record, resolved, lengths))["over"]:
        summary = ""
    if not summary and record["segment"]:
        question, budget = asked_question(state), resolved.summary_budget
        messages = resolved.protocol.render_summarize(
            question, before or None, record["segment"], budget=budget, prefill=info.prefill
        )
        options, key, epoch = sampling(settings, resolved, state["epochs"]), state["asked"], state["epochs"]
        reply: Reply = yield Ask(messages, resolved.summary_budget, options, "summary", key, epoch)
        usage = add_usage(usage, reply.usage)
        record = with_request(record, reply.usage)
        summary = without_repeated_tail(parse_summary(reply.text, reasoning=reply.reasoning))
        # Better the raw end of the reasoning than nothing of it.
        summary = _tail(summary, resolved.summary_budget * 3) or _tail(record["segment"], resolved.summary_budget)
        if "summary" not in reply.shown:
            yield Show("summary", summary, key, epoch)
    summary = summary or before  # an empty completion: the next epoch starts from where this one did
    recent, again = note_summary(state.get("recent") or [], before, summary)
    repeats = state["repeats"] + 1 if again else 0
    if record["conclusion"]:
        summary = (yield from _with_note(state, summary, info, resolved))["summary"]
    record = {**record, "summary": summary}
    update: dict[str, Any] = {"summary": summary, "epoch": record, "usage": usage}
    update |= {"repeats": repeats, "recent": recent}
    return (yield from _settled(settings, update))


def _settled(settings: Settings, update: dict[str, Any]) -> Flow:
    """The update, told to whoever listens, with its record in the trace where that is kept."""
    record: EpochRecord = update["epoch"]
    yield Emit(
        SummaryDone(event="summary_done", epoch=record["epoch"], summary=record["summary"], usage=record["usage"])
    )
    if settings.keep_trace:
        update["records"] = [record]
    return update
