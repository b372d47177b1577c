"""A scripted chat model for several paths: every path reads its own script, told apart by the seeds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables.config import ensure_config
from pydantic import PrivateAttr

from inftythink_graph.ballot import ballot_in
from inftythink_graph.path_state import SEED_STRIDE
from inftythink_graph.protocol import Protocol

__all__ = ["PathModel", "end", "once_decided", "step", "when"]

NATIVE = Protocol()
PATIENCE = 20.0  # seconds until a wait counts as a failure


def step(number: int) -> str:
    """An epoch without a conclusion."""
    return NATIVE.completion(f"segment {number}", summary=f"S{number}")


def end(answer: str) -> str:
    """An epoch with one."""
    return NATIVE.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")


def once_decided(said: Any) -> Callable[[], Any]:
    """An entry that answers only after the run's outcome is decided."""

    def entry() -> Any:
        ballot = ballot_in(ensure_config())
        assert ballot is not None
        return when(lambda: ballot.decided, said)()

    return entry


def when(condition: Callable[[], bool], said: Any) -> Callable[[], Any]:
    """An entry that answers only once a condition holds."""

    def entry() -> Any:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, "the condition never came true"
            time.sleep(0.005)
        return said

    return entry


class PathModel(BaseChatModel):
    """``scripts[k]`` is what path k + 1 says, request by request; the last entry repeats. Use it with ``seed=0``.

    An entry is a text, a message, an exception to raise, or a function that returns one of these. A token is a word.
    """

    scripts: list[list[Any]]
    _asked: list[tuple[int, dict[str, Any]]] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "paths"

    @property
    def asked(self) -> list[tuple[int, dict[str, Any]]]:
        """The path and the options of every request."""
        return self._asked

    def requests(self, path: int) -> int:
        """Requests of one path."""
        return sum(asked == path for asked, _ in self._asked)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        path = kwargs["seed"] // SEED_STRIDE + 1
        with self._lock:
            count = self.requests(path)
            self._asked.append((path, kwargs))
        script = self.scripts[path - 1]
        entry = script[min(count, len(script) - 1)]
        said = entry() if callable(entry) and not isinstance(entry, type) else entry
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, AIMessage):
            return ChatResult(generations=[ChatGeneration(message=said)])
        prompt = sum(len(str(message.content).split()) for message in messages)
        size = len(said.split())
        message = AIMessage(
            said,
            response_metadata={"finish_reason": "stop"},
            usage_metadata={"input_tokens": prompt, "output_tokens": size, "total_tokens": prompt + size},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])
