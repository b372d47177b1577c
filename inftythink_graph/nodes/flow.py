"""One body for sync and async: a node is a generator that yields what it needs done and receives the outcome.

A node's logic never calls a model or a verifier, and writes to no stream. It yields an :class:`Ask`, a
:class:`Measure`, a :class:`Check`, a :class:`Show`, an :class:`Emit` or :class:`Describe`; :class:`Caller` performs it,
blocking or awaiting, and sends the result back in. That a prompt overflowed the model's window is thrown in where it
was yielded; every other error ends the flow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer

from inftythink_graph.events import Event
from inftythink_graph.models.base import DescribesItself, ModelInfo
from inftythink_graph.nodes.replies import read_reply
from inftythink_graph.nodes.tokens import TokenTap, is_read, show, tapped
from inftythink_graph.protocol import Content, Message, Part
from inftythink_graph.verdicts import Candidate, Verdict, Verifier, averdict_of, verdict_of

__all__ = ["Ask", "Caller", "Check", "Describe", "Effect", "Emit", "Flow", "Measure", "Show"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One model call; its outcome is a :class:`~inftythink_graph.nodes.replies.Reply`.

    Attributes:
        messages: the prompt.
        max_tokens: most tokens of the completion.
        sampling: options of the call.
        part: what the completion is: a whole epoch (``segment``), or a summary or a conclusion alone.
        key: what identifies the question, for the tokens that are passed on.
        epoch: the epoch that the call belongs to.
        thinking: the budget of thinking tokens, for servers that can hold a model to one.
    """

    messages: list[Message]
    max_tokens: int
    sampling: dict[str, Any]
    part: Part = "segment"
    key: Content = ""
    epoch: int = 0
    thinking: int | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """Count the tokens of a rendered prompt; the outcome is None where the model can't say.

    Attributes:
        messages: the prompt.
        once: it is the same prompt in every run, to be counted for the first of them only.
    """

    messages: list[Message]
    once: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Have the verifier judge a candidate; the outcome is a :class:`~inftythink_graph.verdicts.Verdict`."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Describe:
    """Learn the model's window and card; the outcome is a :class:`~inftythink_graph.models.base.ModelInfo`."""


@dataclass(frozen=True, slots=True)
class Show:
    """Put a part, or a piece of it, into the stream of messages; no outcome."""

    part: Part
    text: str
    key: Content
    epoch: int


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an event to whoever reads the run's custom stream; no outcome."""

    event: Event


Effect: TypeAlias = Ask | Measure | Check | Describe | Show | Emit
Flow: TypeAlias = Generator[Effect, Any, dict[str, Any]]


class Caller:
    """Performs effects with one model and one verifier."""

    def __init__(self, model: BaseChatModel, verifier: Verifier | None) -> None:
        self.model = model
        self.verifier = verifier
        self._described = model if isinstance(model, DescribesItself) else None
        self._counts: dict[str, int] = {}

    def _options(self, ask: Ask) -> dict[str, Any]:
        options = {**ask.sampling, "max_tokens": ask.max_tokens}
        if ask.thinking is not None and hasattr(self.model, "thinking_budget"):
            options["thinking_token_budget"] = ask.thinking
        return options

    def run(self, flow: Flow, config: RunnableConfig) -> dict[str, Any]:
        """Drive a flow to its end, blocking."""
        step: Callable[[], Effect] = partial(flow.send, None)
        while True:
            try:
                effect = step()
            except StopIteration as end:
                return dict(end.value)
            try:
                step = partial(flow.send, self._perform(effect, config))
            except ContextOverflowError as error:  # a flow may know a shorter prompt
                step = partial(flow.throw, error)

    async def arun(self, flow: Flow, config: RunnableConfig) -> dict[str, Any]:
        """Drive a flow to its end without blocking the event loop."""
        step: Callable[[], Effect] = partial(flow.send, None)
        while True:
            try:
                effect = step()
            except StopIteration as end:
                return dict(end.value)
            try:
                step = partial(flow.send, await self._aperform(effect, config))
            except ContextOverflowError as error:  # a flow may know a shorter prompt
                step = partial(flow.throw, error)

    def _counted(self, effect: Measure) -> int | None:
        """The count of a prompt that was to be counted once, and was."""
        return self._counts.get(repr(effect.messages)) if effect.once else None

    def _keep(self, effect: Measure, count: int | None) -> int | None:
        if effect.once and count is not None:
            self._counts[repr(effect.messages)] = count
        return count

    @staticmethod
    def _tell(effect: Show | Emit, config: RunnableConfig) -> None:
        if isinstance(effect, Emit):
            get_stream_writer()(effect.event)
        elif is_read(config):
            show(effect.part, effect.text, key=effect.key, epoch=effect.epoch)

    def _perform(self, effect: Effect, config: RunnableConfig) -> Any:
        if isinstance(effect, Ask):
            tap = TokenTap(effect.part, key=effect.key, epoch=effect.epoch)
            start = time.perf_counter()
            message = self.model.invoke(effect.messages, tapped(config, tap), **self._options(effect))
            return tap.settled(read_reply(message, effect.max_tokens, time.perf_counter() - start))
        if isinstance(effect, Show | Emit):
            return self._tell(effect, config)
        if isinstance(effect, Check):
            if self.verifier is None:
                return Verdict(True)
            return verdict_of(self.verifier, effect.candidate)
        if self._described is None:
            return ModelInfo() if isinstance(effect, Describe) else None
        if isinstance(effect, Describe):
            return self._described.describe()
        if (known := self._counted(effect)) is not None:
            return known
        return self._keep(effect, self._described.count_prompt_tokens(effect.messages))

    async def _aperform(self, effect: Effect, config: RunnableConfig) -> Any:
        if isinstance(effect, Ask):
            tap = TokenTap(effect.part, key=effect.key, epoch=effect.epoch)
            start = time.perf_counter()
            message = await self.model.ainvoke(effect.messages, tapped(config, tap), **self._options(effect))
            return tap.settled(read_reply(message, effect.max_tokens, time.perf_counter() - start))
        if isinstance(effect, Show | Emit):
            return self._tell(effect, config)
        if isinstance(effect, Check):
            if self.verifier is None:
                return Verdict(True)
            return await averdict_of(self.verifier, effect.candidate)
        if self._described is None:
            return ModelInfo() if isinstance(effect, Describe) else None
        if isinstance(effect, Describe):
            return await self._described.adescribe()
        if (known := self._counted(effect)) is not None:
            return known
        return self._keep(effect, await self._described.acount_prompt_tokens(effect.messages))
