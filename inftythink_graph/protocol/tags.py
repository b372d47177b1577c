"""The tags of the text format, and what every part of the format does with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "HISTORY",
    "PROTOCOL_VERSION",
    "SUMMARY",
    "TAGS",
    "THINK",
    "Content",
    "Conversation",
    "Message",
    "Question",
    "clean",
    "close_tag",
    "neutralize",
    "open_tag",
    "question_text",
    "without_partial_tag",
]

PROTOCOL_VERSION = "1"
"""Changes whenever the rendered text changes. Data sets and trained models record it."""

THINK, SUMMARY, HISTORY = "think", "summary", "history"
TAGS = tuple(f"<{slash}{name}>" for name in (THINK, SUMMARY, HISTORY) for slash in ("", "/"))
"""The six tags, for tokenizers that make each of them a single token."""

Content: TypeAlias = str | Sequence[str | Mapping[str, Any]]
"""A question: plain text, or LangChain content blocks (text, images, ...)."""
Message: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A question that is a whole conversation; its last turn is what is to be answered.

    Attributes:
        turns: messages with ``role`` and ``content``, in the form of the OpenAI API (tool calls and results included).
    """

    turns: tuple[Message, ...]

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError("a conversation needs at least one message")


Question: TypeAlias = Content | Conversation
"""What a run is asked: one question, or a conversation."""

_TAG = re.compile(rf"<(/?(?:{THINK}|{SUMMARY}|{HISTORY}))>")


def open_tag(name: str) -> str:
    return f"<{name}>"


def close_tag(name: str) -> str:
    return f"</{name}>"


def neutralize(text: str) -> str:
    """Break the protocol's own tags in ``text``, so that a question or a summary can't pose as the format.

    ``<think>`` becomes ``< think>``. Text without tags comes back unchanged.
    """
    return _TAG.sub(r"< \1>", text)


def question_text(question: Question) -> str:
    """The text of a question, its content blocks joined by line feeds; blocks that are no text are left out.

    Of a conversation it is the text of the last turn of the user's, or of the last turn where there is none.
    """
    if isinstance(question, Conversation):
        asked = [turn for turn in question.turns if turn.get("role") == "user"] or list(question.turns)
        return question_text(asked[-1].get("content") or "")
    if isinstance(question, str):
        return question
    parts = [block if isinstance(block, str) else str(block.get("text") or "") for block in question]
    return "\n".join(part for part in parts if part)


def clean(text: str) -> str:
    """``text`` without any of the protocol's tags, stripped."""
    # Taking a tag out may join its surroundings into another one: what is left is broken up instead.
    return neutralize(_TAG.sub("", text)).strip()


def without_partial_tag(text: str) -> str:
    """``text`` without the beginning of a tag at its end, where a token limit cut through the tag.

    A lone ``<`` or ``<t`` goes only where a tag may stand, at a line's start or after another tag: elsewhere it may as
    well be mathematics.
    """
    start = text.rfind("<")
    partial = text[start:] if start >= 0 else ""
    if not any(tag.startswith(partial) and tag != partial for tag in TAGS if partial):
        return text
    before = text[:start].rstrip(" \t")
    at_tag = not before or before.endswith(("\n", *TAGS))
    return text[:start] if at_tag or len(partial) > 2 or partial == "</" else text
