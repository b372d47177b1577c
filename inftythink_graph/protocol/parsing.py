"""Reading completions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from inftythink_graph.protocol.tags import SUMMARY, THINK, clean, close_tag, open_tag, without_partial_tag

__all__ = ["CUT_REASONS", "Parsed", "ParsedKind", "parse", "parse_summary"]

ParsedKind: TypeAlias = Literal["summary", "conclusion", "cut", "malformed"]

CUT_REASONS = frozenset({"length", "repetition", "max_tokens"})
"""Finish reasons of models that did not stop by themselves."""
_BOXED = "\\boxed{"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one completion turned out to be.

    Attributes:
        kind: ``summary``: a finished segment with its summary. ``conclusion``: the final answer's text.
            ``cut``: a segment that hit a token limit before it was closed. ``malformed``: anything else, the empty
            completion among them; what there is of a segment is kept.
        segment: the reasoning, without tags and surrounding white space.
        summary: the summary (``kind == "summary"``), else "".
        conclusion: the conclusion (``kind == "conclusion"``), else "".
        truncated: the summary or the conclusion was itself cut by a token limit.
    """

    kind: ParsedKind
    segment: str = ""
    summary: str = ""
    conclusion: str = ""
    truncated: bool = False


def _split_thinking(text: str) -> tuple[str, str | None]:
    """Split a raw completion into (reasoning, what follows it); the latter is None while the reasoning is open."""
    # A closing tag counts as the end of the reasoning only before the last summary: a summary may quote tags.
    last_summary = text.rfind(open_tag(SUMMARY))
    end = text.rfind(close_tag(THINK), 0, last_summary) if last_summary >= 0 else -1
    if end < 0:
        end = _end_of_thinking(text)
    if end >= 0:
        return text[:end], text[end + len(close_tag(THINK)) :]
    if open_tag(THINK) in text:
        return text, None
    # No think tag at all: a model that wrote a bare summary, or one that answers without thinking aloud.
    if last_summary >= 0:
        return text[:last_summary], text[last_summary:]
    return "", text


def _end_of_thinking(text: str) -> int:
    """Where the closing tag stands that the conclusion follows; -1 where there is none.

    It is the last one that is followed by text: models sometimes close their reasoning again after the conclusion.
    """
    last = end = text.rfind(close_tag(THINK))
    stop = len(text)
    while end >= 0:
        if clean(text[end + len(close_tag(THINK)) : stop]):
            return end
        stop, end = end, text.rfind(close_tag(THINK), 0, end)
    return last


def parse(text: str | None, finish_reason: str | None = None, *, reasoning: str | None = None) -> Parsed:
    """Read one completion. Never fails, whatever the string.

    Args:
        text: the message's content. May start inside the reasoning, where the chat template opened the think tag.
        finish_reason: the server's; ``length`` and ``repetition`` mean that the model did not stop by itself.
        reasoning: the reasoning, where the server delivers it in a field of its own (a reasoning parser).
    """
    text = text or ""
    was_cut = finish_reason in CUT_REASONS
    if was_cut:
        text = without_partial_tag(text)
        reasoning = without_partial_tag(reasoning) if reasoning else reasoning
    if reasoning and not text.strip():
        # The parser never saw the end of the reasoning: all that there is came in its field.
        thinking, rest = _split_thinking(reasoning)
        if rest is None or not thinking:
            thinking, rest = reasoning, None
    elif reasoning:
        thinking, rest = reasoning, text
    else:
        thinking, rest = _split_thinking(text)

    segment = clean(thinking)
    if rest is None:
        return Parsed("cut" if was_cut and segment else "malformed", segment=segment)

    start = rest.find(open_tag(SUMMARY))
    if start >= 0:
        body = rest[start + len(open_tag(SUMMARY)) :]
        end = body.rfind(close_tag(SUMMARY))
        summary, after = (body, "") if end < 0 else (body[:end], body[end + len(close_tag(SUMMARY)) :])
        if _BOXED in after:  # summarized and concluded all the same: the conclusion counts
            return Parsed("conclusion", segment=segment, conclusion=clean(after), truncated=was_cut)
        if summary := clean(summary):
            return Parsed("summary", segment=segment, summary=summary, truncated=end < 0 and was_cut)
        return Parsed("cut" if was_cut and segment else "malformed", segment=segment)

    conclusion = clean(rest)
    if not conclusion:
        return Parsed("cut" if was_cut and segment else "malformed", segment=segment)
    if was_cut and not segment and not reasoning and close_tag(THINK) not in text:
        # Cut, and never a tag: a model that thinks in plain text.
        return Parsed("cut", segment=conclusion)
    return Parsed("conclusion", segment=segment, conclusion=conclusion, truncated=was_cut)


def parse_summary(text: str | None, *, reasoning: str | None = None) -> str:
    """The summary in the reply to a summary request; "" where there is none. Never fails.

    Tags are optional, and reasoning that the model wrote before its summary is left out. Where a model did nothing but
    reason, the reasoning is better than nothing and is returned.
    """
    text = text or ""
    body = text.rpartition(close_tag(THINK))[2] if close_tag(THINK) in text else text
    if open_tag(SUMMARY) in body:
        body = body.partition(open_tag(SUMMARY))[2]
    body = body.partition(close_tag(SUMMARY))[0]
    return clean(body) or clean(text) or clean(reasoning or "")
