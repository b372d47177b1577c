"""``EmbeddedChatModel``: any local transformers checkpoint as a chat model in this process, no server needed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import aclosing, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr

from inftythink_graph.errors import InftyThinkError, InvalidInputError
from inftythink_graph.models._batcher import Batcher
from inftythink_graph.models._listening import Listener, listen, listen_async
from inftythink_graph.models.base import ModelCard, ModelInfo
from inftythink_graph.protocol import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from inftythink_graph.models._generate import Completion, Engine, Request

__all__ = ["EmbeddedChatModel"]


def _default_path() -> str:
    from inftythink_graph.models import bundled_path

    return str(bundled_path())


class EmbeddedChatModel(BaseChatModel):
    """A transformers checkpoint, loaded on first use and shared by all threads and tasks of this process.

    Requests that come in while others run are batched. Prefill, seeds, per-request limits and streaming work as on a
    server, and a prompt that leaves no room in the window raises LangChain's ``ContextOverflowError``. A request that
    nobody waits for any more (its stream was closed, its task cancelled) ends at its next token.

    Example:
        ``create_inftythink_graph(EmbeddedChatModel())`` reasons with the bundled model.

    Raises:
        CheckpointError: on first use, where ``model_path`` holds no model.
        InftyThinkError: on first use, where torch or transformers isn't installed.
    """

    model_path: str = Field(default_factory=_default_path)
    """Folder of the checkpoint, or its Hugging Face name; by default the model that comes with the package."""
    device: str = "cpu"
    """Torch device, for example ``cuda``."""
    dtype: str = "float32"
    """Torch dtype of the weights, or ``auto`` for the checkpoint's own."""
    max_batch: int = Field(default=256, ge=1)
    """Most requests of one batch."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of a completion; None for whatever the window still holds."""
    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the sampling."""
    seed: int | None = None
    """Seed of a request's draws; the same seed gives the same completion, whatever else is in its batch."""

    _engine: Engine | None = PrivateAttr(default=None)
    _info: ModelInfo | None = PrivateAttr(default=None)
    _batcher: Batcher[Request, Completion] | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "inftythink-embedded"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_path": self.model_path, "dtype": self.dtype}

    def _loaded(self) -> tuple[Engine, Batcher[Request, Completion]]:
        with self._lock:
            if self._engine is None or self._batcher is None:
                try:
                    from inftythink_graph.models._generate import Engine
                except ImportError as error:
                    raise InftyThinkError(
                        f"the embedded model needs {error.name}: pip install 'inftythink-graph[embedded]'"
                    ) from error
                self._engine = Engine(self.model_path, device=self.device, dtype=self.dtype)
                self._batcher = Batcher(self._engine.run, max_batch=self.max_batch, name="inftythink-embedded")
            return self._engine, self._batcher

    @classmethod
    def around(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        card: ModelCard | None = None,
        **options: Any,
    ) -> EmbeddedChatModel:
        """A chat model of a transformers model that is loaded already, for example one that is being trained.

        The model is used as it is at every request, with the weights that it then has. Put it into evaluation mode
        while it answers.

        Args:
            model: a causal language model.
            tokenizer: its tokenizer, with a chat template.
            card: how it is used, in place of the ``inftythink.json`` of a folder.
            options: fields of this class, ``max_batch`` for example.

        Raises:
            CheckpointError: the tokenizer has no chat template.
        """
        from inftythink_graph.models._generate import Engine

        chat = cls(model_path=str(getattr(model.config, "name_or_path", "")) or "live", **options)
        chat._engine = Engine.around(model, tokenizer)
        chat._batcher = Batcher(chat._engine.run, max_batch=chat.max_batch, name="inftythink-live")
        chat._info = ModelInfo(window=chat._engine.window, prefill=True, card=card)
        return chat

    def describe(self) -> ModelInfo:
        """The checkpoint's window and card; loads the model."""
        if self._info is None:  # every node of the graph asks: the card's file is read once
            card = ModelCard.read(self.model_path)
            self._info = ModelInfo(window=self._loaded()[0].window, prefill=True, card=card)
        return self._info

    async def adescribe(self) -> ModelInfo:
        """As :meth:`describe`, without blocking the event loop."""
        return await asyncio.to_thread(self.describe)

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a rendered prompt, template included."""
        return len(self._loaded()[0].encode(messages))

    async def acount_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """As :meth:`count_prompt_tokens`, without blocking the event loop."""
        return await asyncio.to_thread(self.count_prompt_tokens, messages)

    def get_token_ids(self, text: str) -> list[int]:
        """Token ids of ``text``, without special tokens added."""
        ids: list[int] = self._loaded()[0].tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _request(self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]) -> Request:
        from inftythink_graph.models._generate import Request

        if stop:
            raise InvalidInputError("EmbeddedChatModel has no stop sequences; serve the model with vLLM for those")
        engine = self._loaded()[0]
        prompt = engine.encode(convert_to_openai_messages(messages, text_format="string"))
        room = engine.window - len(prompt)
        if room < 1:
            raise ContextOverflowError(
                f"the prompt has {len(prompt)} tokens; the window of {engine.window} leaves no room for an answer"
            )
        limit = options.get("max_tokens", self.max_tokens)
        seed = options.get("seed", self.seed)
        return Request(
            prompt=prompt,
            max_tokens=room if limit is None else min(int(limit), room),
            temperature=float(options.get("temperature", self.temperature)),
            top_p=float(options.get("top_p", self.top_p)),
            seed=None if seed is None else int(seed),
        )

    def _submit(self, request: Request, listener: Listener) -> Future[Completion]:
        return self._loaded()[1].submit(replace(request, listener=listener))

    def _about(self, request: Request, completion: Completion) -> dict[str, Any]:
        """What a message says besides its text."""
        size = len(request.prompt)
        return {
            "usage_metadata": UsageMetadata(
                input_tokens=size, output_tokens=completion.tokens, total_tokens=size + completion.tokens
            ),
            "response_metadata": {"finish_reason": completion.finish_reason, "model_name": self.model_path},
        }

    def _result(self, request: Request, completion: Completion) -> ChatResult:
        message = AIMessage(content=completion.text, **self._about(request, completion))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _last_chunk(self, request: Request, completion: Completion, given: int) -> ChatGenerationChunk:
        """The end of a stream: the text that was held back, and what there is to say about the whole."""
        text, about = completion.text[given:], self._about(request, completion)
        return ChatGenerationChunk(message=AIMessageChunk(content=text, chunk_position="last", **about))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        return self._result(request, self._submit(request, Listener()).result())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = await asyncio.to_thread(self._request, messages, stop, kwargs)
        listener = Listener()
        try:
            return self._result(request, await asyncio.wrap_future(self._submit(request, listener)))
        finally:
            listener.leave()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        given = 0
        pieces = listen(partial(self._submit, request))
        with closing(pieces):
            for piece in pieces:
                if isinstance(piece, str):
                    given += len(piece)
                    chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
                else:
                    chunk = self._last_chunk(request, piece, given)
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = await asyncio.to_thread(self._request, messages, stop, kwargs)
        given = 0
        pieces = listen_async(partial(self._submit, request))
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, str):
                    given += len(piece)
                    chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
                else:
                    chunk = self._last_chunk(request, piece, given)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
