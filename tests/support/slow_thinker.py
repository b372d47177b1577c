"""A chat model that writes what it is told to, piece by piece, and slowly if need be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from inftythink_graph import Protocol

__all__ = ["SlowThinker", "concluding"]


class SlowThinker(BaseChatModel):
    """Streams ``script(question, n)`` as its n-th reply to a question.

    Attributes:
        script: from the question's text and the number of the reply, from 1, to what is written.
        delay: seconds before each piece.
        prompts: the messages of all requests.
        written: how many pieces it has written.
    """

    script: Callable[[str, int], str]
    delay: float = 0.0
    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _written: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "slow-thinker"

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        return self._prompts

    @property
    def written(self) -> int:
        return self._written

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("it is asked asynchronously")

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        question = messages[0].text.splitlines()[0]
        self._prompts.append(messages)
        asked = sum(prompt[0].text.splitlines()[0] == question for prompt in self._prompts)
        text = self.script(question, asked)
        for start in range(0, len(text), 8):
            await asyncio.sleep(self.delay)
            self._written += 1
            yield ChatGenerationChunk(message=AIMessageChunk(text[start : start + 8]))
        size = sum(len(message.text) for message in messages)
        usage = {"input_tokens": size, "output_tokens": len(text), "total_tokens": size + len(text)}
        end = AIMessageChunk("", usage_metadata=usage, response_metadata={"finish_reason": "stop"})
        end.chunk_position = "last"
        yield ChatGenerationChunk(message=end)


def concluding(epochs: int, answer: str = "7") -> Callable[[str, int], str]:
    """A script that thinks for that many epochs and then gives an answer."""
    native = Protocol()

    def script(question: str, asked: int) -> str:
        if asked < epochs:
            return native.completion(f"thought {asked} about {question}", summary=f"so far {asked}")
        return native.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")

    return script
