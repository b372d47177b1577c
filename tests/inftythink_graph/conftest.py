"""A scripted chat model: what the graph does with answers that no real model gives on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from inftythink_graph.models import ModelInfo

Script = Sequence[str | tuple[str, str]]


class ScriptedModel(BaseChatModel):
    """Answers from a list of texts or (text, finish reason); the last one repeats. A token is a word here."""

    script: list[Any]
    info: Any = ModelInfo(prefill=True)
    _calls: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def calls(self) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
        """Messages and options of every request."""
        return self._calls

    def describe(self) -> ModelInfo:
        return self.info  # type: ignore[no-any-return]

    async def adescribe(self) -> ModelInfo:
        return self.describe()

    def count_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return sum(len(str(message["content"]).split()) for message in messages)

    async def acount_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return self.count_prompt_tokens(messages)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        entry = self.script[min(len(self._calls), len(self.script) - 1)]
        self._calls.append((messages, kwargs))
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

    def build(*script: str | tuple[str, str], **options: Any) -> ScriptedModel:
        return ScriptedModel(script=list(script), **options)

    return build
