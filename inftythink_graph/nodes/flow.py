"""One body for sync and async: a node is a generator that yields what it needs done and receives the outcome.

A node's logic never calls a model or a verifier. It yields an :class:`Ask`, a :class:`Measure`, a :class:`Check` or
:class:`Describe`; :class:`Caller` performs it, blocking or awaiting, and sends the result back in.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from inftythink_graph.models.base import DescribesItself, ModelInfo
from inftythink_graph.protocol import Message
from inftythink_graph.state import Usage
from inftythink_graph.verdicts import Candidate, Verdict, Verifier, averdict_of, verdict_of

__all__ = ["Ask", "Caller", "Check", "Describe", "Effect", "Flow", "Measure", "Reply", "read_reply"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One model call; its outcome is a :class:`Reply`.

    ``thinking`` is the budget of thinking tokens, for servers that can hold a model to one.
    """

    messages: list[Message]
    max_tokens: int
    sampling: dict[str, Any]
    thinking: int | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """Count the tokens of a rendered prompt; the outcome is None where the model can't say."""

    messages: list[Message]


@dataclass(frozen=True, slots=True)
class Check:
    """Have the verifier judge a candidate; the outcome is a :class:`~inftythink_graph.verdicts.Verdict`."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Describe:
    """Learn the model's window and card; the outcome is a :class:`~inftythink_graph.models.base.ModelInfo`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model call brought: text, reasoning delivered apart from it, why it stopped, and what it took."""

    text: str
    reasoning: str
    finish_reason: str
    usage: Usage


Effect: TypeAlias = Ask | Measure | Check | Describe
Flow: TypeAlias = Generator[Effect, Any, dict[str, Any]]


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


def read_reply(message: AIMessage, max_tokens: int, seconds: float) -> Reply:
    """Take from a LangChain message what the loop needs, whichever provider it came from."""
    metadata = message.response_metadata
    counts = message.usage_metadata
    prompt, completion, cached = 0, 0, 0
    if counts:
        prompt, completion = counts["input_tokens"], counts["output_tokens"]
        cached = (counts.get("input_token_details") or {}).get("cache_read") or 0
    reason = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "").lower()
    if not reason and 0 < max_tokens <= completion:  # providers that don't say why they stopped
        reason = "length"
    context = prompt + completion
    usage = Usage(
        requests=1,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        peak_context=context,
        sum_tokens=context,
        sum_squared_tokens=context**2,
        seconds=seconds,
    )
    reasoning = message.additional_kwargs.get("reasoning_content")
    return Reply(
        text=_texts(message.content, ("text",)),
        reasoning=reasoning if isinstance(reasoning, str) else _texts(message.content, ("reasoning", "thinking")),
        finish_reason=reason,
        usage=usage,
    )


class Caller:
    """Performs effects with one model and one verifier."""

    def __init__(self, model: BaseChatModel, verifier: Verifier | None) -> None:
        self.model = model
        self.verifier = verifier

    def _options(self, ask: Ask) -> dict[str, Any]:
        options = {**ask.sampling, "max_tokens": ask.max_tokens}
        if ask.thinking is not None and hasattr(self.model, "thinking_budget"):
            options["thinking_token_budget"] = ask.thinking
        return options

    def run(self, flow: Flow, config: RunnableConfig) -> dict[str, Any]:
        """Drive a flow to its end, blocking."""
        outcome: Any = None
        while True:
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                return dict(end.value)
            outcome = self._perform(effect, config)

    async def arun(self, flow: Flow, config: RunnableConfig) -> dict[str, Any]:
        """Drive a flow to its end without blocking the event loop."""
        outcome: Any = None
        while True:
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                return dict(end.value)
            outcome = await self._aperform(effect, config)

    def _perform(self, effect: Effect, config: RunnableConfig) -> Any:
        if isinstance(effect, Ask):
            start = time.perf_counter()
            message = self.model.invoke(effect.messages, config, **self._options(effect))
            return read_reply(message, effect.max_tokens, time.perf_counter() - start)
        if isinstance(effect, Check):
            if self.verifier is None:
                return Verdict(True)
            return verdict_of(self.verifier, effect.candidate)
        if not isinstance(self.model, DescribesItself):
            return ModelInfo() if isinstance(effect, Describe) else None
        if isinstance(effect, Describe):
            return self.model.describe()
        return self.model.count_prompt_tokens(effect.messages)

    async def _aperform(self, effect: Effect, config: RunnableConfig) -> Any:
        if isinstance(effect, Ask):
            start = time.perf_counter()
            message = await self.model.ainvoke(effect.messages, config, **self._options(effect))
            return read_reply(message, effect.max_tokens, time.perf_counter() - start)
        if isinstance(effect, Check):
            if self.verifier is None:
                return Verdict(True)
            return await averdict_of(self.verifier, effect.candidate)
        if not isinstance(self.model, DescribesItself):
            return ModelInfo() if isinstance(effect, Describe) else None
        if isinstance(effect, Describe):
            return await self.model.adescribe()
        return await self.model.acount_prompt_tokens(effect.messages)
