"""``ChatInftyThink``: the graph as a chat model, in place of any other in a chain or an agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid4

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from pydantic import PrivateAttr

from inftythink_graph._answer_chunks import AnswerChunks
from inftythink_graph._apart import astream_apart, callbacks_below, stream_apart
from inftythink_graph._chat_options import call_context, stop_sequences
from inftythink_graph._chat_surface import ChatSurface
from inftythink_graph.graph import InftyThinkGraph
from inftythink_graph.state import InftyThinkContext

__all__ = ["ChatInftyThink"]

_TOKENS, _WHOLE = ["messages", "custom", "values"], ["custom", "values"]


@dataclass(frozen=True, slots=True)
class _Run:
    """One call: the graph that it runs, with what, and what becomes of its stream."""

    graph: InftyThinkGraph
    input: dict[str, Any]
    context: InftyThinkContext
    chunks: AnswerChunks


class ChatInftyThink(ChatSurface):
    """A chat model that thinks in segments within a bounded context before it answers.

    The conversation is the question; the last message must not be an answer. ``AIMessage.text`` is the answer alone.
    ``content_blocks`` holds the reasoning before it, one block a segment or summary, each with its ``part`` and its
    ``epoch`` under ``extras``. ``usage_metadata`` sums up all requests; ``response_metadata`` has ``status``,
    ``epochs`` and ``finish_reason``: ``stop``, ``tool_calls``, or ``length`` where the run ended without an accepted
    answer.

    Streams bring the reasoning as it is written and then the answer, and add up to what ``invoke`` returns. An answer
    that a verifier may still turn down comes only when it is accepted.

    At call time, the run's settings (``max_epochs``, ``max_tokens``, ``eta``, ``summary_budget``, ``temperature``,
    ``top_p``, ``seed``, ``on_exhausted``) hold for that call; ``stop`` ends the answer, never the reasoning; tools and
    all other options go to the model.

    Example:
        >>> from inftythink_graph import EmbeddedChatModel
        >>> chat = ChatInftyThink(model=EmbeddedChatModel())  # doctest: +SKIP
        >>> chat.invoke("Multiply 89 by 122 by repeated addition.").text  # doctest: +SKIP

    Raises:
        InvalidInputError: on construction or call, an option is outside what is allowed.
        InftyThinkError: on call, as the graph.
    """

    _above: BaseCallbackManager | None = PrivateAttr(default=None)

    def _run(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any], *, streaming: bool
    ) -> _Run:
        graph = self._graph()
        chunks = AnswerChunks(
            reasoning=self.include_reasoning,
            live=streaming and self.answer_streaming == "tokens" and not graph.has_verifier,
            stop=stop_sequences(stop, self.stop),
            metadata={"model_name": self.model_name, "model_provider": "inftythink"},
        )
        # Copies without ids: the graph would give ids to the caller's, and take two with the same for one.
        turns = [message.model_copy(update={"id": None}) for message in messages]
        return _Run(graph, {"messages": turns}, call_context(kwargs), chunks)

    def _chunks(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: CallbackManagerForLLMRun | None,
        kwargs: Mapping[str, Any],
        *,
        streaming: bool,
    ) -> Iterator[AIMessageChunk]:
        run, callbacks = self._run(messages, stop, kwargs, streaming=streaming), self._callbacks(run_manager)
        modes = _TOKENS if streaming else _WHOLE
        for item in stream_apart(run.graph, run.input, callbacks, context=run.context, stream_mode=modes):
            yield from run.chunks.feed(item)
        yield from run.chunks.close()

    async def _achunks(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: AsyncCallbackManagerForLLMRun | None,
        kwargs: Mapping[str, Any],
        *,
        streaming: bool,
    ) -> AsyncGenerator[AIMessageChunk, None]:
        run, callbacks = self._run(messages, stop, kwargs, streaming=streaming), self._callbacks(run_manager)
        modes = _TOKENS if streaming else _WHOLE
        items = astream_apart(run.graph, run.input, callbacks, context=run.context, stream_mode=modes)
        async with aclosing(items):
            async for item in items:
                for chunk in run.chunks.feed(item):
                    yield chunk
        for chunk in run.chunks.close():
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _whole(list(self._chunks(messages, stop, run_manager, kwargs, streaming=False)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = self._achunks(messages, stop, run_manager, kwargs, streaming=False)
        return _whole([chunk async for chunk in chunks])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for message in self._chunks(messages, stop, run_manager, kwargs, streaming=True):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        # Closed with its consumer, so that the model stops thinking about what nobody reads.
        async with aclosing(self._achunks(messages, stop, run_manager, kwargs, streaming=True)) as written:
            async for message in written:
                chunk = ChatGenerationChunk(message=message)
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    # What runs inside is traced below the model's own run. LangChain doesn't hand that run to _stream, so it is carried
    # there by a copy of the model.

    def _callbacks(
        self, run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None
    ) -> BaseCallbackManager | None:
        return self._above if run is None else self._inside(run, run.run_id)

    def _inside(
        self, source: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | BaseCallbackManager, run_id: UUID
    ) -> BaseCallbackManager:
        return callbacks_below(source, run_id, tracers_only=self.callbacks_inside == "tracers")

    def _below(self, callbacks: BaseCallbackManager | None) -> Self:
        copy = self.model_copy()
        copy._above = callbacks
        return copy

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        below = self._below(self._callbacks(run_manager))
        return BaseChatModel._generate_with_cache(below, messages, stop=stop, run_manager=run_manager, **kwargs)

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        below = self._below(self._callbacks(run_manager))
        return await BaseChatModel._agenerate_with_cache(below, messages, stop=stop, run_manager=run_manager, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """As every chat model: chunks that add up to the message."""
        config = ensure_config(config)
        run_id = config.get("run_id") or uuid4()
        manager = CallbackManager.configure(
            config.get("callbacks"), inheritable_tags=config.get("tags"), inheritable_metadata=config.get("metadata")
        )
        config = RunnableConfig(**{**config, "run_id": run_id, "callbacks": manager})
        below = self._below(self._inside(manager, run_id))
        yield from BaseChatModel.stream(below, input, config, stop=stop, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """As :meth:`stream`, asynchronously."""
        config = ensure_config(config)
        run_id = config.get("run_id") or uuid4()
        manager = AsyncCallbackManager.configure(
            config.get("callbacks"), inheritable_tags=config.get("tags"), inheritable_metadata=config.get("metadata")
        )
        config = RunnableConfig(**{**config, "run_id": run_id, "callbacks": manager})
        below = self._below(self._inside(manager, run_id))
        async for chunk in BaseChatModel.astream(below, input, config, stop=stop, **kwargs):
            yield chunk


def _whole(chunks: list[AIMessageChunk]) -> ChatResult:
    merged = chunks[0] + chunks[1:] if len(chunks) > 1 else chunks[0]
    return ChatResult(generations=[ChatGeneration(message=message_chunk_to_message(merged))])
