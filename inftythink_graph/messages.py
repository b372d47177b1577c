"""Questions from messages, and the answer as a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    convert_to_messages,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import Content, Conversation, Message, Part, Question, question_text
from inftythink_graph.state import EpochRecord, InftyThinkState
from inftythink_graph.status import Status
from inftythink_graph.usage import Usage

__all__ = ["answer_message", "asked_question", "asking_key", "part_id", "usage_metadata", "with_messages"]


def with_messages(given: Any) -> Any:
    """The graph's input with the question among the messages, where there was none.

    A question that comes without messages becomes a human message, so that a thread's conversation is complete. What is
    no input (None to resume, a ``Command``) is returned as it is.

    Raises:
        InvalidInputError: there is neither a question nor a message, or the question is neither text nor blocks.
    """
    if not isinstance(given, Mapping):
        return given
    question, messages = given.get("question"), given.get("messages")
    if question is None:
        if not messages:
            raise InvalidInputError("there is nothing to answer: give a 'question', or 'messages' with at least one")
        return {**given, "question": None}
    if not isinstance(question, str | Sequence) or isinstance(question, bytes):
        raise InvalidInputError(f"the question must be text or content blocks, got {type(question).__name__}")
    content: Any = question if isinstance(question, str) else list(question)
    known = convert_to_messages(messages) if messages else []
    if known and isinstance(known[-1], HumanMessage) and known[-1].content == content:
        return given
    return {**given, "messages": [*known, HumanMessage(content)]}


def _pending(state: InftyThinkState) -> BaseMessage | None:
    """The last message, if it still waits for an answer."""
    messages = state.get("messages")
    return messages[-1] if messages and not isinstance(messages[-1], AIMessage) else None


def asking_key(state: InftyThinkState) -> Content:
    """What tells a question from the next one on the same thread: its message's id, or the question itself."""
    pending = _pending(state)
    if pending is not None and pending.id:
        return pending.id
    return state.get("question") or ""


def asked_question(state: InftyThinkState) -> Question:
    """What is to be answered: the question, or without one the conversation.

    Raises:
        InvalidInputError: the conversation ends with an answer.
    """
    question = state.get("question")
    if question is not None:
        return question
    messages = state.get("messages") or []
    if not messages or isinstance(messages[-1], AIMessage):
        raise InvalidInputError("the messages end with an answer; the last one must be a human's or a tool's")
    if len(messages) == 1 and isinstance(messages[0], HumanMessage):
        return messages[0].content
    return Conversation(tuple(_turn(message) for message in messages))


def _turn(message: BaseMessage) -> Message:
    """A message as a plain dictionary. Content blocks of a human message stay as they are, images among them."""
    turn = dict(convert_to_openai_messages([message])[0])
    # What an assistant said is its text: its earlier reasoning is none of the new question's business.
    turn["content"] = message.text if isinstance(message, AIMessage) else message.content
    return turn


def part_id(key: Content, epoch: int, part: Part) -> str:
    """The message id that all pieces of one part of one epoch share."""
    return f"{question_text(key)[:64]}:{epoch}:{part}"


def usage_metadata(usage: Usage) -> UsageMetadata:
    """Usage in LangChain's form: tokens summed over all requests of a run."""
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["prompt_tokens"] + usage["completion_tokens"],
        input_token_details=InputTokenDetails(cache_read=usage["cached_tokens"]),
    )


def answer_message(
    state: InftyThinkState, record: EpochRecord, status: Status, conclusion: str, usage: Usage
) -> AIMessage:
    """The run's answer as one message.

    Its text is the conclusion ("" where there is none); ``response_metadata`` holds the status and the epochs.
    """
    calls: list[Any] = list(state.get("tool_calls") or [])
    return AIMessage(
        content=conclusion,
        id=part_id(state["asked"], record["epoch"], "conclusion"),
        tool_calls=calls,
        usage_metadata=usage_metadata(usage),
        response_metadata={"status": status, "epochs": record["epoch"]},
    )
