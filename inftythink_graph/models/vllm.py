"""``ChatVLLM``: LangChain's ``ChatOpenAI``, made to fit a vLLM server.

Importing it needs neither torch nor vllm: the server may be anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, cast

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from inftythink_graph.models import _vllm_prefill as prefills
from inftythink_graph.models._once import once
from inftythink_graph.models._vllm_calls import Ask, Call, Chat, adrive, drive
from inftythink_graph.models._vllm_requests import DEFAULT_BASE_URL, VLLMRequests
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.protocol import Message

__all__ = ["DEFAULT_BASE_URL", "ChatVLLM"]

# The client's other credential, an OpenAI account's administration key from the environment, is none of the server's
# business.
_KEY_ONLY: dict[str, Any] = {"security": {"bearer_auth": True}}


class ChatVLLM(VLLMRequests):
    """A chat model behind a vLLM server.

    What it adds to ``ChatOpenAI``:

    - The reasoning that a server with a reasoning parser delivers apart is kept, in
      ``additional_kwargs["reasoning_content"]``; ``response_metadata`` has vLLM's ``stop_reason``.
    - A conversation that ends with an assistant message is continued, whatever the server's chat template makes of it.
    - ``thinking_token_budget=n`` at call time closes the model's thinking after n tokens, if the server can.
    - ``extra_body`` at call time is merged into the constructor's.
    - Prompts that don't fit raise ``ContextOverflowError``.
    - It knows its window and counts its prompts (:class:`~inftythink_graph.models.base.DescribesItself`).
    - Asynchronous requests travel over aiohttp, in half of the client's time, and by the proxy that the environment
      names (``HTTP_PROXY``, ``NO_PROXY``); ``http_async_client`` takes an httpx client of your own instead.

    Args:
        model: the served name; "" is the only model that the server serves.
        base_url: the address that ends in ``/v1``.
        api_key: the server's key; by default ``VLLM_API_KEY`` or ``OPENAI_API_KEY`` from the environment, if set.
        timeout: seconds that one request may take.
        thinking_budget: ``auto`` sends a thinking budget until the server refuses one; ``on`` always; ``off`` never.

    Raises:
        ServerUnavailableError: nothing answers at ``base_url``.
        ModelNotServedError: the server doesn't serve ``model``.
        langchain_core.exceptions.ContextOverflowError: the prompt is larger than the model's context.

    Example:
        >>> model = ChatVLLM(base_url="http://127.0.0.1:8000/v1")  # doctest: +SKIP
        >>> model.invoke("What is 3 + 4?").content  # doctest: +SKIP
    """

    # What the model knows of itself

    def describe(self) -> ModelInfo:
        """The model's window, from the server, and its card, if its weights lie in a folder on this machine.

        Asks the server once.

        Raises:
            ServerUnavailableError: nothing answers at ``base_url``, or not as a vLLM server does.
            ModelNotServedError: the server doesn't serve this model, or several and none was named.
            CheckpointError: the model's folder has a card that can't be read.
        """
        return drive(self._described(), self._send)

    async def adescribe(self) -> ModelInfo:
        """:meth:`describe`, asynchronously. Many who ask at a time share one request."""
        if self.model_name in self._known:
            return self._known[self.model_name][1]
        return await once((id(self), self.model_name), lambda: adrive(self._described(), self._asend))

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that ``messages`` make, template included; the server counts.

        Raises:
            ServerUnavailableError: nothing answers, or the server has no ``/tokenize``.
        """
        return drive(self._counted(messages), self._send)

    async def acount_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """:meth:`count_prompt_tokens`, asynchronously."""
        return await adrive(self._counted(messages), self._asend)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any] | None = None,
        *,
        allow_fetching_images: bool = True,
    ) -> int:
        """Tokens of the prompt that ``messages`` make, with the served model's own tokenizer."""
        bound = self.bind_tools(tools).kwargs if tools else {}  # type: ignore[attr-defined]  # a RunnableBinding
        return drive(self._counted(messages, bound), self._send)

    def get_token_ids(self, text: str) -> list[int]:
        """Token ids of ``text``, with the served model's own tokenizer and without special tokens added."""
        return drive(self._token_ids(text), self._send)

    # Requests

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chat = partial(super()._generate, messages, stop, run_manager)
        return drive(
            self._generated(messages, stop, kwargs),
            lambda ask: chat(**ask.kwargs) if isinstance(ask, Chat) else self._send(ask),
        )

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chat = partial(super()._agenerate, messages, stop, run_manager)
        return await adrive(
            self._generated(messages, stop, kwargs),
            lambda ask: chat(**ask.kwargs) if isinstance(ask, Chat) else self._asend(ask),
        )

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        attempt = drive(self._first(messages, stop, kwargs), self._send)
        while True:
            started = False
            try:
                if attempt.composed:
                    whole = drive(self._composed(messages, stop, kwargs, attempt), self._send)
                    chunks: Iterator[ChatGenerationChunk] = iter(_as_chunks(whole))
                else:
                    chunks = super()._stream(messages, stop, **self._arguments(attempt, kwargs))
                for chunk in chunks:
                    started = True
                    chunk = prefills.reunite_chunk(chunk, attempt.prefill)
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk, logprobs=_logprobs(chunk))
                    yield chunk
                return
            except openai.APIError as error:
                attempt = drive(self._next(error, attempt, messages, stop, kwargs, started), self._send)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks: AsyncGenerator[ChatGenerationChunk, None]
        attempt = await adrive(self._first(messages, stop, kwargs), self._asend)
        while True:
            started = False
            try:
                if attempt.composed:
                    whole = await adrive(self._composed(messages, stop, kwargs, attempt), self._asend)
                    chunks = _aiter(_as_chunks(whole))
                else:
                    streamed = super()._astream(messages, stop, **self._arguments(attempt, kwargs))
                    chunks = cast("AsyncGenerator[ChatGenerationChunk, None]", streamed)
                # Closed with its consumer, so that the server stops writing what nobody reads.
                async with aclosing(chunks):
                    async for chunk in chunks:
                        started = True
                        chunk = prefills.reunite_chunk(chunk, attempt.prefill)
                        if run_manager:
                            await run_manager.on_llm_new_token(chunk.text, chunk=chunk, logprobs=_logprobs(chunk))
                        yield chunk
                return
            except openai.APIError as error:
                attempt = await adrive(self._next(error, attempt, messages, stop, kwargs, started), self._asend)

    # The only places that talk to the server outside of LangChain's own code

    def _send(self, ask: Ask) -> Any:
        assert isinstance(ask, Call)
        self._ensure_sync_client_available()
        options = {**_KEY_ONLY, **(ask.options or {})}
        if ask.body is None:
            return self.root_client.get(ask.path, cast_to=object, options=options)
        return self.root_client.post(ask.path, cast_to=object, body=ask.body, options=options)

    async def _asend(self, ask: Ask) -> Any:
        assert isinstance(ask, Call)
        options = {**_KEY_ONLY, **(ask.options or {})}
        if ask.body is None:
            return await self.root_async_client.get(ask.path, cast_to=object, options=options)
        return await self.root_async_client.post(ask.path, cast_to=object, body=ask.body, options=options)


def _logprobs(chunk: ChatGenerationChunk) -> Any:
    return (chunk.generation_info or {}).get("logprobs")


def _as_chunks(result: ChatResult) -> list[ChatGenerationChunk]:
    """A whole result as a stream of one chunk."""
    generation = result.generations[0]
    message = generation.message
    assert isinstance(message, AIMessage)
    output = {key: value for key, value in (result.llm_output or {}).items() if key in ("model_name", "model_provider")}
    chunk = AIMessageChunk(
        content=message.content,
        additional_kwargs=message.additional_kwargs,
        usage_metadata=message.usage_metadata,
        response_metadata={"model_provider": output.pop("model_provider", "vllm")},
    )
    return [ChatGenerationChunk(message=chunk, generation_info={**output, **(generation.generation_info or {})})]


async def _aiter(chunks: list[ChatGenerationChunk]) -> AsyncGenerator[ChatGenerationChunk, None]:
    for chunk in chunks:
        yield chunk
