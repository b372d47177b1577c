"""What the loop needs of a chat model's message, whichever provider it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage

from inftythink_graph.protocol import Part
from inftythink_graph.usage import Usage, request_usage

__all__ = ["Reply", "read_reply", "reasoning_of", "text_of", "whole_characters"]

_BROKEN = "\ufffd"  # what stands for bytes that are no character


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model call brought.

    Attributes:
        text: the message's text.
        reasoning: the reasoning, where it was delivered apart from the text.
        finish_reason: why the model stopped.
        usage: what the call took.
        tool_calls: the tools that the model asks for.
        shown: the parts that were passed on while they were written.
    """

    text: str
    reasoning: str
    finish_reason: str
    usage: Usage
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    shown: tuple[Part, ...] = ()


def _texts(content: str | Sequence[str | dict[str, Any]], kinds: tuple[str, ...]) -> str:
    """The text of the content blocks of the given kinds, joined."""
    if isinstance(content, str):
        return content if "text" in kinds else ""
    parts = []
    for block in content:
        if isinstance(block, str):
            parts.append(block if "text" in kinds else "")
        elif block.get("type") in kinds:
            parts.append(str(block.get(str(block["type"])) or block.get("text") or ""))
    return "".join(parts)


def text_of(message: AIMessage) -> str:
    """The text of a message, or of a piece of one."""
    return _texts(message.content, ("text",))


def reasoning_of(message: AIMessage) -> str:
    """The reasoning that a message, or a piece of one, carries apart from its text."""
    reasoning = message.additional_kwargs.get("reasoning_content")
    return reasoning if isinstance(reasoning, str) else _texts(message.content, ("reasoning", "thinking"))


def whole_characters(text: str) -> str:
    """The text without what stands for bytes that are no character: it says nothing, and takes three tokens for one."""
    return text.replace(_BROKEN, "")


def read_reply(message: AIMessage, max_tokens: int, seconds: float) -> Reply:
    """Take from a LangChain message what the loop needs.

    Args:
        message: the model's message.
        max_tokens: the limit that the call had, for providers that don't say why they stopped.
        seconds: how long the call took.
    """
    metadata = message.response_metadata
    counts = message.usage_metadata
    prompt, completion, cached = 0, 0, 0
    if counts:
        prompt, completion = counts["input_tokens"], counts["output_tokens"]
        cached = (counts.get("input_token_details") or {}).get("cache_read") or 0
    reason = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "").lower()
    if not reason and 0 < max_tokens <= completion:  # providers that don't say why they stopped
        reason = "length"
    return Reply(
        text=text_of(message),
        reasoning=reasoning_of(message),
        finish_reason=reason,
        usage=request_usage(prompt, completion, cached=cached, seconds=seconds),
        tool_calls=[dict(call) for call in message.tool_calls],
    )
