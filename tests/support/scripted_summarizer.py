"""A chat model that answers the summarizer from a script, and the graph around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from datasets_build.summaries.summarize import create_summarizer_graph
from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.models import ModelInfo

__all__ = ["EXAMPLE", "SEGMENT", "SEGMENTS", "Ran", "Summarizer", "graph_of", "words"]

SEGMENT = "one two three four five six seven eight nine ten " * 3
SEGMENTS = [f"part-{number} {SEGMENT}" for number in range(4)]
EXAMPLE: dict[str, Any] = {"question": "What?", "segments": SEGMENTS}


def words(texts: Sequence[str]) -> list[int]:
    """A tokenizer whose tokens are words."""
    return [len(text.split()) for text in texts]


class Summarizer(BaseChatModel):
    """Answers from a script: texts, (text, finish reason), (text, finish reason, reasoning), or errors to raise.

    The last entry repeats. A token is a word. ``delay`` lets other tasks run before a reply.
    """

    script: list[Any]
    window: int | None = None
    counts: bool = True
    delay: float = 0.0
    model_name: str = "fake"
    _calls: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)
    _third: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def calls(self) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
        return self._calls

    @property
    def third(self) -> asyncio.Event:
        """Set when the third request is under way."""
        return self._third

    def describe(self) -> ModelInfo:
        return ModelInfo(window=self.window)

    async def adescribe(self) -> ModelInfo:
        return self.describe()

    def count_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        if not self.counts:
            raise ServerUnavailableError("the server has no /tokenize")
        return sum(words([str(message["content"]) for message in messages]))

    async def acount_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return self.count_prompt_tokens(messages)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        entry = self.script[min(len(self._calls), len(self.script) - 1)]
        self._calls.append((messages, kwargs))
        if isinstance(entry, Exception):
            raise entry
        text, finish, reasoning = (*entry, "")[:3] if isinstance(entry, tuple) else (entry, "stop", "")
        prompt, size = sum(words([str(message.content) for message in messages])), sum(words([text, reasoning]))
        message = AIMessage(
            text,
            additional_kwargs={"reasoning_content": reasoning} if reasoning else {},
            response_metadata={"finish_reason": finish},
            usage_metadata={"input_tokens": prompt, "output_tokens": size, "total_tokens": prompt + size},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        if len(self._calls) == 2:
            self._third.set()
        await asyncio.sleep(self.delay)
        return self._generate(*args, **kwargs)


def graph_of(model: BaseChatModel, **options: Any) -> Any:
    return create_summarizer_graph(model, **{"summary_budget": 8, "backoff": 0.0, **options})


Ran = Callable[..., dict[str, Any]]
