"""``ChatInftyThink``: the graph as a chat model, in place of any other in a chain or an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self
from uuid import uuid4

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.config import ensure_config
from pydantic import ConfigDict, Field, PrivateAttr

from inftythink_graph import _model_facts as facts
from inftythink_graph._answer_chunks import AnswerChunks
from inftythink_graph._apart import astream_apart, callbacks_below, children, stream_apart
from inftythink_graph._chat_options import SETTINGS, call_context, stop_sequences
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.graph import InftyThinkGraph, create_inftythink_graph
from inftythink_graph.protocol import Protocol
from inftythink_graph.state import InftyThinkContext, OnExhausted, ProtocolKind
from inftythink_graph.verdicts import Candidate

__all__ = ["ChatInftyThink"]

_OF_THE_GRAPH = (*SETTINGS, "protocol", "verifier", "stall_after")
_TOKENS, _WHOLE = ["messages", "custom", "values"], ["custom", "values"]


@dataclass(frozen=True, slots=True)
class _Run:
    """One call: the graph that it runs, with what, and what becomes of its stream."""

    graph: InftyThinkGraph
    input: dict[str, Any]
    context: InftyThinkContext
    chunks: AnswerChunks


class ChatInftyThink(BaseChatModel):
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

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    model: BaseChatModel | None = None
    """The chat model that thinks. Give either this or ``graph``."""
    graph: InftyThinkGraph | None = Field(default=None, repr=False)
    """A graph of your own. It brings its settings; its checkpointer isn't used."""
    max_epochs: int = 50
    """Most segments."""
    max_tokens: int | None = None
    """Most tokens that a run generates, reasoning included; a forced answer comes on top."""
    eta: int | None = None
    """Most tokens of a segment."""
    summary_budget: int | None = None
    """Most tokens of a summary."""
    temperature: float | None = None
    """Sampling temperature."""
    top_p: float | None = None
    """Nucleus of the sampling."""
    seed: int | None = None
    """Seed of the sampling."""
    on_exhausted: OnExhausted = "force"
    """When epochs run out: ``force`` an answer, or ``return`` what there is."""
    protocol: Protocol | ProtocolKind | None = None
    """The text format; by default the model's own."""
    verifier: Callable[[Candidate], Any] | None = None
    """Judges an answer; a rejected one goes back into the loop."""
    stall_after: int = 3
    """End the run when the summary came back unchanged that often."""
    stop: list[str] | None = None
    """Sequences that end the answer."""
    include_reasoning: bool = True
    """Messages hold the reasoning, as blocks before the answer. Without it their content is the answer, a string."""
    answer_streaming: Literal["tokens", "whole"] = "tokens"
    """``tokens``: without a verifier, an answer streams while it is written. One that is cut off before it is done
    may turn out to be none: its block is then marked ``superseded`` under ``extras``, and the answer follows.
    ``whole``: an answer comes when it is settled, always."""

    _above: BaseCallbackManager | None = PrivateAttr(default=None)

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        if (self.model is None) == (self.graph is None):
            raise InvalidInputError("ChatInftyThink takes a model or a graph: give exactly one of them")
        if self.graph is not None and (given := [name for name in _OF_THE_GRAPH if name in self.model_fields_set]):
            raise InvalidInputError(
                f"{', '.join(given)}: a graph brings its own settings; give them to it, or to calls"
            )
        if self.include_reasoning and self.output_version is None:
            self.output_version = "v1"  # the content is in LangChain's standard blocks, and says so
        self._graph()
        stop_sequences(None, self.stop)

    # The run

    def _graph(self) -> InftyThinkGraph:
        if self.graph is not None:
            return self.graph.copy({"checkpointer": False})
        assert self.model is not None
        settings = {name: getattr(self, name) for name in _OF_THE_GRAPH}
        return create_inftythink_graph(self.model, **settings, checkpointer=False)

    @property
    def _thinker(self) -> BaseChatModel:
        """The model inside."""
        if self.graph is not None:
            return self.graph.model
        assert self.model is not None
        return self.model

    def _run(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any], *, streaming: bool
    ) -> _Run:
        graph = self._graph()
        chunks = AnswerChunks(
            reasoning=self.include_reasoning,
            live=streaming and self.answer_streaming == "tokens" and not graph.has_verifier,
            stop=stop_sequences(stop, self.stop),
            metadata={"model_name": self._name, "model_provider": "inftythink"},
        )
        # Copies without ids: the graph would give ids to the caller's, and take two with the same for one.
        turns = [message.model_copy(update={"id": None}) for message in messages]
        return _Run(graph, {"messages": turns}, call_context(kwargs), chunks)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        run, callbacks = self._run(messages, stop, kwargs, streaming=False), self._callbacks(run_manager)
        chunks: list[AIMessageChunk] = []
        for item in stream_apart(run.graph, run.input, callbacks, context=run.context, stream_mode=_WHOLE):
            chunks += run.chunks.feed(item)
        return _whole([*chunks, *run.chunks.close()])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        run, callbacks = self._run(messages, stop, kwargs, streaming=False), self._callbacks(run_manager)
        chunks: list[AIMessageChunk] = []
        async for item in astream_apart(run.graph, run.input, callbacks, context=run.context, stream_mode=_WHOLE):
            chunks += run.chunks.feed(item)
        return _whole([*chunks, *run.chunks.close()])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        run, callbacks = self._run(messages, stop, kwargs, streaming=True), self._callbacks(run_manager)
        for item in stream_apart(run.graph, run.input, callbacks, context=run.context, stream_mode=_TOKENS):
            for chunk in map(_generation, run.chunks.feed(item)):
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        for chunk in map(_generation, run.chunks.close()):
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
        run, callbacks = self._run(messages, stop, kwargs, streaming=True), self._callbacks(run_manager)
        items = astream_apart(run.graph, run.input, callbacks, context=run.context, stream_mode=_TOKENS)
        async for item in items:
            for chunk in map(_generation, run.chunks.feed(item)):
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        for chunk in map(_generation, run.chunks.close()):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    # What runs inside is traced below the model's own run. LangChain doesn't hand that run to _stream, so it is carried
    # there by a copy of the model.

    def _callbacks(
        self, run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None
    ) -> BaseCallbackManager | None:
        return children(run) or self._above

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
        below = self._below(children(run_manager))
        return BaseChatModel._generate_with_cache(below, messages, stop=stop, run_manager=run_manager, **kwargs)

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        below = self._below(children(run_manager))
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
        below = self._below(callbacks_below(manager, run_id))
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
        below = self._below(callbacks_below(manager, run_id))
        async for chunk in BaseChatModel.astream(below, input, config, stop=stop, **kwargs):
            yield chunk

    # Tools

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Let the model call tools, as it does by itself: a call ends the run, and comes back in its message.

        ``tool_choice="auto"`` lets it think first. A call that is forced (``"any"``, a tool's name) comes at once on
        servers without a reasoning parser: they hold the model to the call's format from its first token on.

        Raises:
            NotImplementedError: the model inside can't call tools.
        """
        # LangChain's note of a structured output is about this model, not about the one inside.
        own = {name: kwargs.pop(name) for name in ("ls_structured_output_format",) if name in kwargs}
        try:
            bound = self._thinker.bind_tools(tools, tool_choice=tool_choice, **kwargs)
        except NotImplementedError as error:
            raise NotImplementedError(
                f"{type(self._thinker).__name__} can't call tools, and so ChatInftyThink can't with it"
            ) from error
        if not isinstance(bound, RunnableBinding) or bound.bound is not self._thinker:
            raise NotImplementedError(f"the tools of {type(self._thinker).__name__} can't be bound to another model")
        return self.bind(**bound.kwargs, **own)

    # What LangChain asks of a model

    @property
    def _llm_type(self) -> str:
        return "inftythink"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """With a model that LangChain can load, and without a graph or a verifier, so can be this one."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where LangChain's loader finds the class."""
        return cls.__module__.split(".")

    @property
    def _name(self) -> str:
        # Not the model's own name: whoever adds up tokens by model would count every one of them twice.
        return f"inftythink:{facts.name(self._thinker)}"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        thinker = self._thinker
        options = {name: getattr(self, name) for name in (*_OF_THE_GRAPH, "stop", "include_reasoning")}
        return {
            "model": {"_type": thinker._llm_type, "name": facts.name(thinker), **thinker._identifying_params},
            **{name: value for name, value in options.items() if value is not None},
            **({"graph": self.graph.name} if self.graph is not None else {}),
        }

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # What can't be serialized is told apart by its identity: two verifiers give two different answers.
        return f"{super()._get_llm_string(stop=stop, **kwargs)}---{self.verifier!r}{id(self.graph)}"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        params["ls_provider"] = "inftythink"
        params["ls_model_name"] = kwargs.get("model") or self._name
        return params

    def _resolve_model_profile(self) -> Any:
        return facts.profile(self._thinker)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """Tokens of the prompt that ``messages`` make for the model inside."""
        return facts.count_messages(self._thinker, messages, tools, **kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """Token ids of ``text``, as the model inside has them."""
        return self._thinker.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Tokens of ``text``, as the model inside counts them."""
        return self._thinker.get_num_tokens(text)


def _generation(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)


def _whole(chunks: list[AIMessageChunk]) -> ChatResult:
    merged = chunks[0] + chunks[1:] if len(chunks) > 1 else chunks[0]
    return ChatResult(generations=[ChatGeneration(message=message_chunk_to_message(merged))])
