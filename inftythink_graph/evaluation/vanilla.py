"""The baseline: one long chain of thought, cut where the model's window or the limit ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from inftythink_graph.answers import extract_answer
from inftythink_graph.nodes.replies import read_reply
from inftythink_graph.protocol import Content, Protocol, parse
from inftythink_graph.usage import Usage

__all__ = ["VanillaResult", "avanilla", "vanilla"]


@dataclass(frozen=True, slots=True)
class VanillaResult:
    """What one chain came to.

    Attributes:
        answer: the extracted answer; None where the chain was cut before its conclusion.
        conclusion: the closing text, "" where there is none.
        cut: the chain hit a token limit.
        usage: of the one request.
        chain: the reasoning before the conclusion.
    """

    answer: str | None
    conclusion: str
    cut: bool
    usage: Usage
    chain: str = ""


def _read(message: AIMessage, max_tokens: int | None) -> VanillaResult:
    reply = read_reply(message, max_tokens or 0, 0.0)
    parsed = parse(reply.text, reply.finish_reason, reasoning=reply.reasoning)
    conclusion = parsed.conclusion if parsed.kind == "conclusion" else ""
    answer = extract_answer(conclusion) if conclusion else None
    return VanillaResult(answer, conclusion, reply.finish_reason == "length", reply.usage, parsed.segment)


def _call_options(max_tokens: int | None, options: dict[str, Any]) -> dict[str, Any]:
    return options if max_tokens is None else {**options, "max_tokens": max_tokens}


def vanilla(model: BaseChatModel, question: Content, *, max_tokens: int | None = None, **options: Any) -> VanillaResult:
    """Have a model answer in one chain.

    Args:
        model: any chat model.
        question: as the graph takes it.
        max_tokens: most tokens of the chain; None for what the model's window holds.
        options: sampling options of the call, for example ``temperature``.
    """
    return _read(model.invoke(Protocol().render(question), **_call_options(max_tokens, options)), max_tokens)


async def avanilla(
    model: BaseChatModel, question: Content, *, max_tokens: int | None = None, **options: Any
) -> VanillaResult:
    """As :func:`vanilla`, without blocking the event loop."""
    return _read(await model.ainvoke(Protocol().render(question), **_call_options(max_tokens, options)), max_tokens)
