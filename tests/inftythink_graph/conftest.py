"""A scripted chat model (answers that no real model gives on demand), and ChatVLLM before a server in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_vllm import KEY, FakeVLLM, running
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from pydantic import PrivateAttr

from inftythink_graph.models import ModelInfo
from inftythink_graph.models.vllm import ChatVLLM

Script = Sequence[str | tuple[str, str] | Exception]


class ScriptedModel(BaseChatModel):
    """Answers from a list of texts, (text, finish reason) or errors; the last one repeats. A token is a word here."""

    script: list[Any]
    info: Any = ModelInfo(prefill=True)
    _calls: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)
    _counted: list[str] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def calls(self) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
        """Messages and options of every request."""
        return self._calls

    @property
    def counted(self) -> list[str]:
        """The last message of every prompt whose tokens were counted."""
        return self._counted

    def describe(self) -> ModelInfo:
        return self.info

    async def adescribe(self) -> ModelInfo:
        return self.describe()

    def count_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        self._counted.append(str(messages[-1]["content"]))
        return sum(len(str(message["content"]).split()) for message in messages)

    async def acount_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return self.count_prompt_tokens(messages)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        entry = self.script[min(len(self._calls), len(self.script) - 1)]
        self._calls.append((messages, kwargs))
        if isinstance(entry, Exception):
            raise entry
        text, finish = entry if isinstance(entry, tuple) else (entry, "stop")
        prompt = sum(len(str(message.content).split()) for message in messages)
        size = len(text.split())
        message = AIMessage(
            text,
            response_metadata={"finish_reason": finish},
            usage_metadata={"input_tokens": prompt, "output_tokens": size, "total_tokens": prompt + size},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def scripted() -> Callable[..., ScriptedModel]:
    """Builds a scripted model from its answers."""

    def build(*script: str | tuple[str, str] | Exception, **options: Any) -> ScriptedModel:
        return ScriptedModel(script=list(script), **options)

    return build


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseCheckpointSaver[Any]]:
    """A checkpointer, in memory or in a file."""
    if request.param == "memory":
        yield InMemorySaver()
        return
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
        yield saver


@pytest.fixture
def fake() -> Iterator[FakeVLLM]:
    with running() as server:
        yield server


@pytest.fixture
def build(fake: FakeVLLM) -> Callable[..., ChatVLLM]:
    def build(**fields: Any) -> ChatVLLM:
        return ChatVLLM(**{"model": "m", "base_url": fake.url, "api_key": KEY, "max_retries": 0, **fields})

    return build


@pytest.fixture
def model(build: Callable[..., ChatVLLM]) -> ChatVLLM:
    return build()


@pytest.fixture(params=["sync", "async", "stream", "astream"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The four ways to ask a chat model; each returns the whole message."""

    async def call(model: ChatVLLM, messages: Any, **kwargs: Any) -> AIMessage:
        if request.param == "sync":
            return model.invoke(messages, **kwargs)
        if request.param == "async":
            return await model.ainvoke(messages, **kwargs)
        whole: AIMessageChunk | None = None
        if request.param == "stream":
            chunks = list(model.stream(messages, **kwargs))
        else:
            chunks = [chunk async for chunk in model.astream(messages, **kwargs)]
        for chunk in chunks:
            assert isinstance(chunk, AIMessageChunk)
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        return whole

    return call
