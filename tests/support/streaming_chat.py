"""A chat model that streams a script, three characters at a time, tool calls and usage included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from inftythink_graph.models import ModelInfo

__all__ = ["StreamingModel", "calling"]


def calling(text: str, name: str, /, **args: Any) -> AIMessage:
    """A message that ends with a tool call."""
    return AIMessage(text, tool_calls=[{"name": name, "args": args, "id": "c1", "type": "tool_call"}])


class StreamingModel(BaseChatModel):
    """Answers from a list of texts, (text, finish reason) or messages; the last one repeats. A token is a word here."""

    script: list[Any]
    info: Any = ModelInfo(prefill=True)
    model_name: str = "scripted"
    _calls: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)
    _streamed: list[bool] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted-stream"

    @property
    def calls(self) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
        """Messages and options of every request."""
        return self._calls

    @property
    def streamed(self) -> list[bool]:
        """For every request, whether it was streamed."""
        return self._streamed

    def describe(self) -> ModelInfo:
        return self.info

    async def adescribe(self) -> ModelInfo:
        return self.describe()

    def count_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return sum(len(str(message["content"]).split()) for message in messages)

    async def acount_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return self.count_prompt_tokens(messages)

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
        choice = {"tool_choice": tool_choice} if tool_choice else {}
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **choice, **kwargs)

    def _next(self, messages: list[BaseMessage], options: dict[str, Any], *, streamed: bool) -> AIMessage:
        entry = self.script[min(len(self._calls), len(self.script) - 1)]
        self._calls.append((messages, options))
        self._streamed.append(streamed)
        text, finish = entry if isinstance(entry, tuple) else (entry, "stop")
        message = AIMessage(text) if isinstance(text, str) else text
        prompt = sum(len(str(message.content).split()) for message in messages)
        size = len(message.text.split())
        return AIMessage(
            message.content,
            tool_calls=message.tool_calls,
            response_metadata={"finish_reason": finish, "model_name": self.model_name},
            usage_metadata={
                "input_tokens": prompt,
                "output_tokens": size,
                "total_tokens": prompt + size,
                "input_token_details": {"cache_read": 1},
            },
        )

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages, kwargs, streamed=False))])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        whole = self._next(messages, kwargs, streamed=True)
        text = whole.text
        for start in range(0, len(text), 3):
            chunk = ChatGenerationChunk(message=AIMessageChunk(text[start : start + 3]))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
        calls = [
            tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=at)
            for at, call in enumerate(whole.tool_calls)
        ]
        end = AIMessageChunk(
            "",
            tool_call_chunks=calls,
            usage_metadata=whole.usage_metadata,
            response_metadata=whole.response_metadata,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=end)
