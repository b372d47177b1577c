"""The node ``reason``: one request for question + summary, which thinks at most eta tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from inftythink_graph.errors import InvalidInputError, WindowTooSmallError
from inftythink_graph.events import EpochStarted, SegmentDone, StallNoticed
from inftythink_graph.messages import asked_question, asking_key
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.nodes.flow import Ask, Describe, Emit, Flow, Measure, Show
from inftythink_graph.nodes.replies import Reply
from inftythink_graph.protocol import Conversation, Parsed, Part, Protocol, Question, parse, question_text
from inftythink_graph.records import cleared
from inftythink_graph.repetition import without_repeated_tail
from inftythink_graph.stalls import heated
from inftythink_graph.state import EpochRecord, InftyThinkState, Resolved, Settings, add_usage, no_usage, with_request

__all__ = [
    "TAG_TOKENS",
    "check_window",
    "completion_limits",
    "context_bound",
    "epoch_room",
    "is_fresh",
    "reason",
    "room_behind_segment",
    "sampling",
]

TAG_TOKENS = 16
"""Tokens that the tags of one epoch may take, where they are plain text to the tokenizer."""
_JOINT_TOKENS = 4


def context_bound(question_tokens: int, resolved: Resolved) -> int:
    """The longest context, in tokens, that any request of a run can reach, whatever the depth.

    ``question_tokens`` is the rendered prompt of the first epoch, template included. On top of it come the last
    summary, the segment, the new summary, and, where a segment was cut, room to have it summarized.
    """
    return question_tokens + resolved.summary_budget + resolved.eta + 2 * TAG_TOKENS + room_behind_segment(resolved)


def epoch_room(resolved: Resolved) -> int:
    """The most tokens that an epoch adds to its first prompt: the segment, and a summary written and rewritten."""
    return resolved.eta + (resolved.summary_budget + TAG_TOKENS) + resolved.summary_budget


def completion_limits(resolved: Resolved) -> tuple[int, int | None]:
    """The most tokens that an epoch's request may write, and how many of them may be thinking, natively."""
    if resolved.protocol.kind == "prompted":
        return resolved.eta, None
    # The server counts the line feeds around the segment, too; eta is the segment alone.
    return resolved.eta + resolved.summary_budget + TAG_TOKENS, resolved.eta + _JOINT_TOKENS


def room_behind_segment(resolved: Resolved) -> int:
    """Tokens that may still be generated behind question, summary and segment within :func:`context_bound`.

    A native model writes a summary there, and room is left to have it rewritten. Prompted, a request writes one thing.
    """
    return resolved.summary_budget * (1 if resolved.protocol.kind == "prompted" else 2)


def is_fresh(state: InftyThinkState) -> bool:
    """Whether this is a question's first epoch; a reused thread still holds the keys of its last question."""
    return state.get("status") is not None or state.get("asked") != asking_key(state) or not state.get("epochs")


def sampling(settings: Settings, resolved: Resolved, epoch: int) -> dict[str, Any]:
    """Sampling options of an epoch. The seed moves with it, or a repeated prompt would repeat its completion."""
    options: dict[str, Any] = {"temperature": resolved.temperature}
    if settings.top_p is not None:
        options["top_p"] = settings.top_p
    if settings.seed is not None:
        options["seed"] = settings.seed + epoch
    return options


def _check_question(question: Question) -> None:
    if isinstance(question, Conversation):
        last = question.turns[-1]
        if last["role"] == "tool":  # a tool may well have returned nothing
            return
        question = last.get("content") or ""
    has_media = not isinstance(question, str) and any(
        not isinstance(block, str) and block.get("type") not in (None, "text") for block in question
    )
    if not question_text(question).strip() and not has_media:
        raise InvalidInputError("the question is empty; give a text, or content blocks with at least one text or image")


def check_window(question_tokens: int, window: int, resolved: Resolved) -> None:
    """Whether the longest context of a run fits the model's window.

    Raises:
        WindowTooSmallError: it doesn't; the error has the numbers.
    """
    needed = context_bound(question_tokens, resolved)
    if needed <= window:
        return
    room = window - (needed - resolved.eta)
    advice = f"lower eta to at most {room}" if room >= 1 else "shorten the question or the summary budget"
    raise WindowTooSmallError(
        f"the model's window of {window} tokens can't hold an epoch of up to {needed}: question with template"
        f" {question_tokens}, eta {resolved.eta}, summary budget {resolved.summary_budget} (read, written and"
        f" rewritten); {advice}",
        needed=needed,
        window=window,
    )


def _read(reply: Reply, protocol: Protocol) -> Parsed:
    parsed = parse(reply.text, reply.finish_reason, reasoning=reply.reasoning)
    if reply.tool_calls:
        # The model ends its reasoning by asking for a tool: with words of its own or without.
        return Parsed("conclusion", segment=parsed.segment, conclusion=parsed.conclusion)
    if parsed.kind == "conclusion" and parsed.truncated and "\\boxed{" not in parsed.conclusion:
        # Cut before it got to its answer: still reasoning, for the loop's purposes.
        return Parsed("cut", segment="\n\n".join(part for part in (parsed.segment, parsed.conclusion) if part))
    if parsed.kind == "summary" and protocol.kind == "prompted":
        # Nobody asked for tags, so what stands between them is part of the reasoning.
        return Parsed("cut", segment="\n\n".join(part for part in (parsed.segment, parsed.summary) if part))
    if parsed.kind == "summary" and parsed.truncated and parsed.segment:
        # The segment took the summary's room: half a summary would lose the other half.
        return Parsed("cut", segment=parsed.segment)
    return parsed


def _untangled(parsed: Parsed) -> Parsed:
    """Without a tail of one piece over and over: what it says once is what there is to summarize."""
    if parsed.kind not in ("cut", "malformed"):
        return parsed
    return replace(parsed, segment=without_repeated_tail(parsed.segment))


def _check_restarts(settings: Settings, resolved: Resolved) -> None:
    if settings.on_rejected == "restart" and resolved.temperature == 0:
        raise InvalidInputError(
            "on_rejected='restart' at temperature 0 would repeat the rejected run word for word; give a temperature"
            " above 0, or on_rejected='note'"
        )


def reason(state: InftyThinkState, settings: Settings, *, has_verifier: bool = False) -> Flow:
    """Think for one epoch.

    Raises (through the graph):
        InvalidInputError: the question is empty, or rejected answers would be reached again and again.
        WindowTooSmallError: the model's window can't hold an epoch.
    """
    question, key = asked_question(state), asking_key(state)
    info: ModelInfo = yield Describe()
    resolved = settings.resolve(info.card)
    protocol = resolved.protocol
    fresh = is_fresh(state)
    summary = "" if fresh else state["summary"]
    messages = protocol.render(question, summary or None)
    if fresh:
        _check_question(question)
        if has_verifier:
            _check_restarts(settings, resolved)
        if protocol.history == "assistant" and not info.prefill:
            raise InvalidInputError(
                "history='assistant' needs a model that can continue a message (ChatVLLM, EmbeddedChatModel);"
                " allowed here: history='user'"
            )
        if info.window is not None:
            tokens = yield Measure(messages)
            if tokens is not None:
                if protocol.kind == "prompted":  # its later prompts carry longer instructions than the first
                    later = protocol.render_summarize(question, "-", "-", budget=resolved.summary_budget, prefill=False)
                    tokens = max(tokens, (yield Measure(protocol.render(question, "-"))), (yield Measure(later)))
                check_window(tokens, info.window, resolved)

    limit, thinking = completion_limits(resolved)
    if settings.max_tokens is not None:
        left = settings.max_tokens - (0 if fresh else state["usage"]["completion_tokens"])
        limit = max(min(limit, left), 1)
    epochs = 1 if fresh else state["epochs"] + 1
    options = {**(settings.call_options or {}), **sampling(settings, resolved, epochs)}
    yield Emit(EpochStarted(event="epoch_started", epoch=epochs, max_epochs=settings.max_epochs, summary=summary))
    repeats = 0 if fresh else state["repeats"]
    if heated(repeats, stall_after=settings.stall_after, on_stall=settings.on_stall):
        options["temperature"] = max(resolved.temperature, settings.stall_temperature)
        noticed = StallNoticed(event="stall_noticed", epoch=epochs, repeats=repeats, temperature=options["temperature"])
        yield Emit(noticed)
    reply: Reply = yield Ask(messages, limit, options, "segment", key, epochs, thinking)
    parsed = _untangled(_read(reply, protocol))
    parts: list[tuple[Part, str]] = [
        ("segment", parsed.segment),
        ("summary", parsed.summary),
        ("conclusion", parsed.conclusion),
    ]
    for part, text in parts:
        if text and part not in reply.shown:
            yield Show(part, text, key, epochs)
    record = EpochRecord(
        epoch=epochs,
        kind=parsed.kind,
        segment=parsed.segment,
        summary=parsed.summary,
        conclusion=parsed.conclusion,
        answer=None,
        verdict="",
        contexts=[],
        usage=no_usage(),
    )
    record = with_request(record, reply.usage)
    yield Emit(
        SegmentDone(
            event="segment_done", epoch=epochs, kind=record["kind"], segment=record["segment"], usage=record["usage"]
        )
    )
    update: dict[str, Any] = {
        "epochs": epochs,
        "epoch": record,
        "tool_calls": reply.tool_calls,
        "usage": add_usage(no_usage() if fresh else state["usage"], reply.usage),
    }
    if fresh:
        update |= {"asked": key, "summary": "", "answer": None, "conclusion": "", "status": None, "repeats": 0}
        update["recent"] = []
        update["forced"] = False
        if settings.keep_trace or state.get("records"):
            update["records"] = cleared()
        if "verifier_usage" in state:
            update["verifier_usage"] = no_usage()
    return update
