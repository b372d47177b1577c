"""When a reply is a summary to train on. Pure functions: what a reply says, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from datasets_build.segmentation.segment import Counter
from datasets_build.summaries.conversation import estimate_tokens
from inftythink_graph.nodes.replies import Reply
from inftythink_graph.protocol import SUMMARY, THINK, neutralize

__all__ = ["Defect", "Judged", "judge_reply", "summary_text", "too_long"]

Defect: TypeAlias = Literal["truncated", "empty", "tags", "over-budget", "not-shorter", "window", "transport"]
"""Why an example got no summaries.

``truncated``: the reply did not end by itself. ``empty``: it has no text. ``tags``: it holds tags of the protocol or a
think block. ``over-budget``: it has more tokens than allowed. ``not-shorter``: it is as long as its segment.
``window``: the request doesn't fit the summarizer. ``transport``: no reply came.
"""

_ENDED = frozenset({"stop", "end_turn", "stop_sequence", "eos", "eos_token"})  # each provider has its word for it
_OTHER_THINKING = re.compile(r"</?(?:thinking|thought|thoughts|reasoning|scratchpad)>|<\|(?:begin|end)_of_thought\|>")


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a reply: a summary, or a defect and its description in words."""

    summary: str = ""
    defect: Defect | None = None
    detail: str = ""


def summary_text(text: str) -> str:
    """The summary in a reply's text: without the reasoning before it and without tags around the whole of it.

    Any other tag stays, for :func:`judge_reply` to find. Unlike :func:`inftythink_graph.protocol.parse_summary`, which
    must come up with something, this never takes the reasoning for the summary.
    """
    opened, closed = f"<{THINK}>", f"</{THINK}>"
    thinking, found, rest = text.rpartition(closed)
    # The chat template may have opened the think block, so that the opening tag is not in the reply.
    if found and not (opened in thinking and thinking.partition(opened)[0].strip()):
        text = rest
    text = text.strip()
    opened, closed = f"<{SUMMARY}>", f"</{SUMMARY}>"
    if text.startswith(opened):
        text = text.removeprefix(opened).removesuffix(closed)
    return text.strip()


def too_long(summary: str, segment: str, *, budget: int, tokens: int | None, count: Counter | None) -> Judged | None:
    """What is wrong with a summary's length; None where nothing is.

    Args:
        summary: the text.
        segment: what it summarizes.
        budget: the tokens that it may have.
        tokens: its length as the server counted it; None where unknown. Looked at only without ``count``.
        count: the target model's tokenizer.
    """
    if count is not None:
        tokens, segment_tokens = count([summary, segment])
        shorter = tokens < segment_tokens
        compared = f"{tokens} tokens, its segment has {segment_tokens}"
    else:
        tokens = estimate_tokens(summary) if tokens is None else tokens
        shorter = len(summary) < len(segment)
        compared = f"{len(summary)} characters, its segment has {len(segment)}"
    if tokens > budget:
        return Judged(defect="over-budget", detail=f"over budget: {tokens} tokens, at most {budget}")
    if not shorter:
        return Judged(defect="not-shorter", detail=f"not shorter than its segment: {compared}")
    return None


def _ended_by_itself(reply: Reply, max_tokens: int) -> bool:
    if reply.finish_reason:
        return reply.finish_reason in _ENDED
    return 0 < reply.usage["completion_tokens"] < max_tokens  # providers that don't say why they stopped


def _own_tokens(reply: Reply, summary: str) -> int | None:
    """The tokens of the summary alone, where the server counted it together with the reasoning before it."""
    completion = reply.usage["completion_tokens"]
    if not completion:
        return None
    written = len(reply.text.strip()) + len(reply.reasoning)
    return completion if written == len(summary) else round(completion * len(summary) / written)


def judge_reply(reply: Reply, segment: str, *, budget: int, max_tokens: int, count: Counter | None = None) -> Judged:
    """Accept a reply as the summary of ``segment``, or say why not.

    Args:
        reply: the summarizer's.
        segment: what was to be summarized.
        budget: the tokens that the summary may have.
        max_tokens: the tokens that the reply was allowed.
        count: the target model's tokenizer; without it the server's count of the reply is taken.
    """
    if not _ended_by_itself(reply, max_tokens):
        reason = reply.finish_reason or "no reason given"
        return Judged(defect="truncated", detail=f"did not end by itself ({reason})")
    summary = summary_text(reply.text)
    if not summary:
        return Judged(
            defect="empty", detail="empty" + (": nothing but reasoning" if reply.text or reply.reasoning else "")
        )
    if found := _tags(summary):
        return Judged(defect="tags", detail=f"has tags: {', '.join(found)}")
    tokens = None if count is not None else _own_tokens(reply, summary)
    return too_long(summary, segment, budget=budget, tokens=tokens, count=count) or Judged(summary=summary)


def _tags(text: str) -> Sequence[str]:
    found = _OTHER_THINKING.findall(text)
    if neutralize(text) != text:
        found += [tag for name in (THINK, SUMMARY, "history") for tag in (f"<{name}>", f"</{name}>") if tag in text]
    return sorted(set(found))
