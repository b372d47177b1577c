"""A chat model that counts to a number over several epochs, for evaluations: "count to 3" takes three of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from inftythink_graph.evaluation.trials import Question
from inftythink_graph.path_state import SEED_STRIDE
from inftythink_graph.protocol import Protocol

__all__ = ["CountingModel", "counting_questions"]

NATIVE = Protocol()


def counting_questions(numbers: Sequence[int]) -> tuple[Question, ...]:
    """One question for each number; its answer is the number."""
    return tuple(
        Question(f"n{number}", f"count to {number}", str(number), meta={"family": "count"}) for number in numbers
    )


class CountingModel(BaseChatModel):
    """Counts one further with every epoch, in a chain all at once. Odd samples of even numbers come out one too high.

    A token is a word.

    Attributes:
        chain: think in one chain.
        fault: called before every reply with the request's number, from 1; may raise.
        delay: seconds that a reply takes.
    """

    model_name: str = "counting"
    chain: bool = False
    fault: Callable[[int], None] | None = None
    delay: float = 0.0
    _asked: list[dict[str, Any]] = PrivateAttr(default_factory=list)
    _busy: int = PrivateAttr(default=0)
    _busiest: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "counting"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The options of every request."""
        return self._asked

    @property
    def busiest(self) -> int:
        """Most requests that were under way at once."""
        return self._busiest

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("evaluations ask asynchronously")

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self._asked.append(kwargs)
        number = len(self._asked)
        self._busy += 1
        self._busiest = max(self._busy, self._busiest)
        try:
            await asyncio.sleep(self.delay)
            if self.fault is not None:
                self.fault(number)
        finally:
            self._busy -= 1
        text = str(messages[0].content)
        target = int(re.findall(r"count to (\d+)", text)[0])
        counted = re.findall(r"at (\d+)", text)
        now = target if self.chain else int(counted[-1]) + 1 if counted else 1
        off = int(target % 2 == 0 and kwargs["seed"] // SEED_STRIDE % 2 == 1)
        if now >= target:
            said = NATIVE.completion(f"that is {target}", conclusion=f"Done: \\boxed{{{target + off}}}")
        else:
            said = NATIVE.completion(f"one more is {now}", summary=f"I am at {now}.")
        prompt, completion = len(text.split()), len(said.split())
        usage = {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}
        message = AIMessage(said, usage_metadata=usage, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])
