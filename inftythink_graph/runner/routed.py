"""A chat model in front of several servers, for one run of many trajectories.

Each trajectory has a :class:`Session`: it keeps to one server, whose prefix cache knows its question, and asks again
what a fault of a server kept it from. What the servers replied is handed on to be written down; a trajectory that is
thought again after a kill is first given the replies that it had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, PrivateAttr

from inftythink_graph.models.base import DescribesItself, ModelInfo
from inftythink_graph.models.transport import name_of
from inftythink_graph.protocol import Message
from inftythink_graph.runner.endpoints import Endpoint, EndpointPool
from inftythink_graph.runner.faults import Fault, fault_of, retry_after
from inftythink_graph.runner.pauses import pause_before

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RecordedReply", "RoutedChatModel", "Session"]

RecordedReply = dict[str, Any]
"""A reply as JSON has it."""

_TRIES = 20
"""Failures at one request, while servers answer others, after which the request itself is taken to be at fault."""

_SESSION: ContextVar[Session] = ContextVar("inftythink_session")


def _recorded(result: ChatResult) -> RecordedReply:
    generation = result.generations[0]
    return {"message": message_to_dict(generation.message)["data"], "info": generation.generation_info or {}}


def _replayed(reply: RecordedReply) -> ChatResult:
    (message,) = messages_from_dict([{"type": "ai", "data": reply["message"]}])
    assert isinstance(message, AIMessage)
    return ChatResult(generations=[ChatGeneration(message=message, generation_info=reply["info"])])


class Session:
    """One trajectory's way to the servers.

    Args:
        pool: the servers.
        replies: what the trajectory was told before, in order; it is told so again.
        on_reply: called with every new reply.
        on_fault: called for every fault of a server.
        on_answer: called with a request's seconds when it was answered.
    """

    def __init__(
        self,
        pool: EndpointPool,
        *,
        replies: Sequence[RecordedReply] = (),
        on_reply: Callable[[RecordedReply], None],
        on_fault: Callable[[Endpoint, Fault], None] = lambda endpoint, fault: None,
        on_answer: Callable[[Endpoint, float], None] = lambda endpoint, seconds: None,
    ) -> None:
        self._pool = pool
        self._replies = list(reversed(replies))
        self._on_reply, self._on_fault, self._on_answer = on_reply, on_fault, on_answer
        self._endpoint: Endpoint | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Requests made meanwhile, in this task and those that it starts, are this trajectory's."""
        token = _SESSION.set(self)
        try:
            yield
        finally:
            _SESSION.reset(token)
            self._pool.leave(self._endpoint)
            self._endpoint = None

    async def ask(self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]) -> ChatResult:
        """One request, as often as it takes.

        Raises:
            NoServerLeftError: no server has answered for too long.
            Exception: what the request meets each time.
        """
        if self._replies:
            return _replayed(self._replies.pop())
        result = await self._insist(lambda model: model._agenerate(messages, stop, None, **options))
        self._on_reply(_recorded(result))
        return result

    async def count(self, messages: Sequence[Message]) -> int | None:
        """Tokens of a prompt; None where the model can't say."""

        async def counted(model: BaseChatModel) -> int | None:
            return await model.acount_prompt_tokens(messages) if isinstance(model, DescribesItself) else None

        return await self._insist(counted)

    async def _insist(self, request: Callable[[BaseChatModel], Any]) -> Any:
        failures, successes_before = 0, 0
        while True:
            self._endpoint = endpoint = await self._pool.choose(self._endpoint)
            async with endpoint.gate.slot():
                start = time.perf_counter()
                try:
                    result = await request(endpoint.model)
                except Exception as error:  # sorted out below: each fault has its own answer, all else is raised
                    fault = fault_of(error)
                    if fault is None:
                        raise
                    problem = error
                else:
                    self._pool.answered(endpoint)
                    self._on_answer(endpoint, time.perf_counter() - start)
                    return result
            self._on_fault(endpoint, fault)
            asked_for = retry_after(problem)
            if fault != "overload":
                if failures == 0:
                    successes_before = self._pool.succeeded
                failures += 1
                if failures >= _TRIES and self._pool.succeeded > successes_before:
                    raise problem
            await self._pool.failed(endpoint, fault, asked_for)
            await pause_before(max(failures, 1), asked_for)


class RoutedChatModel(BaseChatModel):
    """What the graph of a run asks; each request goes where its trajectory's session sends it.

    Args:
        pool: the servers, all of the same model.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    pool: EndpointPool
    thinking_budget: str = "auto"
    """Says to the graph that requests may carry a budget of thinking tokens; what doesn't know it never sees it."""

    _info: ModelInfo | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "inftythink-routed"

    @property
    def model_name(self) -> str:
        """The name of the served model."""
        return name_of(self.pool.endpoints[0].model)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a run of many questions is asynchronous; use ainvoke")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if not hasattr(self.pool.endpoints[0].model, "thinking_budget"):
            kwargs.pop("thinking_token_budget", None)
        return await _SESSION.get().ask(messages, stop, kwargs)

    async def adescribe(self) -> ModelInfo:
        """What is known of the model; asks all servers, once.

        Raises:
            ModelNotServedError: one of them doesn't serve the model.
            InftyThinkError: none of them is there.
        """
        if self._info is None:
            self._info = await self.pool.learn()
        return self._info

    async def acount_prompt_tokens(self, messages: Sequence[Message]) -> int | None:
        """Tokens of a prompt, template included."""
        return await _SESSION.get().count(messages)

    def describe(self) -> ModelInfo:
        """What is known of the model; "nothing" before :meth:`adescribe`."""
        return self._info or ModelInfo()

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Not without an event loop."""
        raise NotImplementedError("a run of many questions is asynchronous; use acount_prompt_tokens")
