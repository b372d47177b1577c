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
from inftythink_graph.nodes.reason import sampling
from inftythink_graph.nodes.replies import Reply
from inftythink_graph.protocol import parse_summary
from inftythink_graph.state import EpochRecord, InftyThinkState, Resolved, Settings, add_usage, with_request

__all__ = ["rejection_note", "summarize"]

_LONGEST_REASON = 300  # characters of a verifier's reason that go into the summary
_NEAR_BUDGET = 0.9  # share of the budget from which on a summary is measured exactly


def rejection_note(answer: str | None, reason: str) -> str:
    """What the next epoch reads about an answer that was turned down."""
    short = reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + "..."
    given = f"The answer {answer}" if answer else "The conclusion"
    return f"{given} was checked and rejected{': ' + short if short else ''}. Find the mistake and correct it."


def _tail(text: str, budget: int) -> str:
    """The end of a text, about ``budget`` tokens of it (at three characters a token, on the safe side)."""
    return text[-3 * budget :]


def _is_over_budget(record: EpochRecord, resolved: Resolved) -> Flow:
    """Whether the model's own summary is longer than the budget; measured only where it may be."""
    summary, budget = record["summary"], resolved.summary_budget
    share = len(summary) / max(len(summary) + len(record["segment"]), 1)
    estimate = share * record["usage"]["completion_tokens"]
    if estimate <= _NEAR_BUDGET * budget:
        return {"over": False}
    with_text = yield Measure([{"role": "user", "content": summary}])
    without = yield Measure([{"role": "user", "content": "."}])
    if with_text is None or without is None:
        return {"over": estimate > budget}
    return {"over": with_text - without + 1 > budget}


def summarize(state: InftyThinkState, settings: Settings) -> Flow:
    """Settle the summary of the epoch that has just ended without an accepted answer."""
    record = state["epoch"]
    info: ModelInfo = yield Describe()
    resolved = settings.resolve(info.card)
    before, summary, usage = state["summary"], record["summary"], state["usage"]
    if summary and (yield from _is_over_budget(record, resolved))["over"]:
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
        summary = parse_summary(reply.text, reasoning=reply.reasoning)
        # Better the raw end of the reasoning than nothing of it.
        summary = _tail(summary, resolved.summary_budget * 3) or _tail(record["segment"], resolved.summary_budget)
        if "summary" not in reply.shown:
            yield Show("summary", summary, key, epoch)
    summary = summary or before  # an empty completion: the next epoch starts from where this one did
    repeats = state["repeats"] + 1 if summary == before else 0
    if record["conclusion"]:
        summary = "\n".join(part for part in (summary, rejection_note(record["answer"], record["verdict"])) if part)
    record = {**record, "summary": summary}
    yield Emit(SummaryDone(event="summary_done", epoch=record["epoch"], summary=summary, usage=record["usage"]))
    update: dict[str, Any] = {"summary": summary, "epoch": record, "usage": usage, "repeats": repeats}
    if settings.keep_trace:
        update["trace"] = [*state.get("trace", []), record]
    return update
