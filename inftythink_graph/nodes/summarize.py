"""The node ``summarize``: the summary that the next epoch starts from.

It takes the one that the model wrote. Where there is none (the segment was cut, or malformed) or it is over budget, the
model is asked for one, from the segment it has: a segment is never thrown away and never silently sampled again.
"""

from __future__ import annotations

from typing import Any

from langchain_core.exceptions import ContextOverflowError

from inftythink_graph.events import SummaryDone
from inftythink_graph.messages import asked_question
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.nodes.flow import Ask, Describe, Emit, Flow, Measure, Show
from inftythink_graph.nodes.lengths import SummaryLengths
from inftythink_graph.nodes.reason import epoch_room, sampling
from inftythink_graph.nodes.replies import Reply, whole_characters
from inftythink_graph.protocol import parse_summary
from inftythink_graph.repetition import without_repeated_tail
from inftythink_graph.stalls import note_summary
from inftythink_graph.state import EpochRecord, InftyThinkState, Resolved, Settings, add_usage, with_request

__all__ = ["rejection_note", "summarize"]

_LONGEST_REASON = 300  # characters of a verifier's reason that go into the summary
_LONGEST_ANSWER = 100  # characters of the rejected answer that do
_CHARACTERS_PER_TOKEN = 3  # on the safe side
_NEAR_BUDGET = 0.9  # share of the budget from which on a summary is measured exactly


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def rejection_note(answer: str | None, reason: str) -> str:
    """What the next epoch reads about an answer that was turned down."""
    short = _shortened(reason, _LONGEST_REASON)
    given = f"The answer {_shortened(answer, _LONGEST_ANSWER)}" if answer else "The conclusion"
    return f"{given} was checked and rejected{': ' + short if short else ''}. Find the mistake and correct it."


def _tail(text: str, budget: int) -> str:
    """The end of a text, about ``budget`` tokens of it."""
    return text[-_CHARACTERS_PER_TOKEN * budget :]


def _asked_for(state: InftyThinkState, settings: Settings, resolved: Resolved, info: ModelInfo) -> Flow:
    """Have the epoch's segment summarized; the outcome is the reply, or None where no prompt fits the window.

    A tokenizer may need more tokens to read a segment than the model took to write it, so its prompt may overflow: then
    the later half of it has to do, and so on, down to what a summary may have itself.
    """
    question, before = asked_question(state), state["summary"]
    segment, budget = whole_characters(state["epoch"]["segment"]), resolved.summary_budget
    options, key, epoch = sampling(settings, resolved, state["epochs"]), state["asked"], state["epochs"]
    while segment:
        messages = resolved.protocol.render_summarize(
            question, before or None, segment, budget=budget, prefill=info.prefill
        )
        try:
            return {"reply": (yield Ask(messages, budget, options, "summary", key, epoch))}
        except ContextOverflowError:
            segment = segment[len(segment) // 2 :] if len(segment) > _CHARACTERS_PER_TOKEN * budget else ""
    return {"reply": None}


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
    before, summary, usage = state["summary"], whole_characters(record["summary"]), state["usage"]
    if summary and (yield from _is_over_budget({**record, "summary": summary}, resolved, lengths))["over"]:
        summary = ""
    if not summary and record["segment"]:
        reply: Reply | None = (yield from _asked_for(state, settings, resolved, info))["reply"]
        if reply is not None:
            usage = add_usage(usage, reply.usage)
            record = with_request(record, reply.usage)
            written = without_repeated_tail(parse_summary(reply.text, reasoning=reply.reasoning))
            summary = _tail(whole_characters(written), resolved.summary_budget * 3)
        # Better the raw end of the reasoning than nothing of it.
        summary = summary or _tail(whole_characters(record["segment"]), resolved.summary_budget)
        if summary and (reply is None or "summary" not in reply.shown):
            yield Show("summary", summary, state["asked"], state["epochs"])
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
