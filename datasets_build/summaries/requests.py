"""Performs the summarizer's requests: from the cache where it has them, patiently where the server falters."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from tenacity import AsyncRetrying, RetryError, Retrying

from datasets_build.summaries.request_cache import ReplyCache, request_key
from datasets_build.summaries.rules import Defect
from inftythink_graph.errors import InvalidInputError, ServerUnavailableError, one_line
from inftythink_graph.models.transport import name_of, retrying
from inftythink_graph.nodes.flow import Ask, Caller, Effect, Measure
from inftythink_graph.nodes.replies import Reply

__all__ = ["Answer", "Lost", "PatientCaller", "Request", "varied_temperature"]

_WARMEST = 1.2
_SAID = 300  # characters of an error that are shown


@dataclass(frozen=True, slots=True)
class Request(Ask):
    """A model call that is kept in the cache; its outcome is an :class:`Answer`, or :class:`Lost`.

    ``attempt`` tells apart two calls that differ in nothing else: models that take no seed are asked again as well.
    """

    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and whether it was known already, so that nothing was paid for it."""

    reply: Reply
    reused: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """No reply came: the request doesn't fit (``window``), or the server didn't answer (``transport``)."""

    defect: Defect
    detail: str


def varied_temperature(temperature: float, attempt: int, salt: str) -> float:
    """The temperature of an attempt: the given one first, then a little more each time, by amounts that vary.

    They depend on ``salt`` and ``attempt`` alone, so that a resumed build makes the same requests.
    """
    if attempt == 1:
        return temperature
    drawn = random.Random(salt.encode("utf-8", "surrogatepass"))
    added = sum(drawn.uniform(0.05, 0.15) for _ in range(attempt - 1))
    return round(min(temperature + added, max(_WARMEST, temperature)), 3)


def _kept(reply: Reply) -> dict[str, Any]:
    """What a journal keeps of a reply: what a summary is made of. Summarizers have no tools, and nobody reads along."""
    return {name: value for name, value in asdict(reply).items() if name not in ("tool_calls", "shown")}


def _reply(kept: dict[str, Any]) -> Reply:
    return Reply(**kept)


class PatientCaller(Caller):
    """A :class:`~inftythink_graph.nodes.flow.Caller` that looks into a cache first and waits for a server to come back.

    Every effect is tried ``tries`` times while the errors are transport errors, with waits that grow exponentially and
    are drawn at random, ``backoff`` seconds at first. Other errors are raised: they would hit every example.

    Args:
        model: the summarizer.
        prompt: version of the wording, for the keys of the cache.
        cache: keeps the replies.
        name: the model's name, for the same keys; None takes it from the model.
        tries: most tries of a request that meets transport errors.
        backoff: seconds that the first wait takes at most.

    Raises:
        InvalidInputError: there is a cache, and the model doesn't tell its name.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        prompt: str,
        cache: ReplyCache | None = None,
        name: str | None = None,
        tries: int = 8,
        backoff: float = 1.0,
    ) -> None:
        super().__init__(model, None)
        self._cache, self._prompt = cache, prompt
        self._name = name or name_of(model)
        if cache is not None and not self._name:
            raise InvalidInputError(
                "the cache needs the model's name, and the model doesn't tell it: give model_name=..."
                " (for ChatVLLM, the served name as model=...)"
            )
        self._policy = retrying(tries, backoff=backoff)

    def _key(self, request: Request) -> str:
        sampling = {
            **request.sampling,
            "max_tokens": request.max_tokens,
            "thinking": request.thinking,
            "attempt": request.attempt,
        }
        return request_key(request.messages, model=self._name, sampling=sampling, prompt=self._prompt)

    def _perform(self, effect: Effect, config: RunnableConfig) -> Any:
        def perform() -> Any:
            return Retrying(**self._policy)(Caller._perform, self, effect, config)

        try:
            if not isinstance(effect, Request):
                return perform()
            if self._cache is None:
                return Answer(perform(), False)
            kept, reused = self._cache.call(self._key(effect), lambda: _kept(perform()))
            return Answer(_reply(kept), reused)
        except (RetryError, ContextOverflowError, ServerUnavailableError) as error:
            return self._outcome(effect, error)

    async def _aperform(self, effect: Effect, config: RunnableConfig) -> Any:
        async def perform() -> Any:
            return await AsyncRetrying(**self._policy)(Caller._aperform, self, effect, config)

        async def ask() -> dict[str, Any]:
            return _kept(await perform())

        try:
            if not isinstance(effect, Request):
                return await perform()
            if self._cache is None:
                return Answer(await perform(), False)
            kept, reused = await self._cache.acall(self._key(effect), ask)
            return Answer(_reply(kept), reused)
        except (RetryError, ContextOverflowError, ServerUnavailableError) as error:
            return self._outcome(effect, error)

    def _outcome(
        self, effect: Effect, error: RetryError | ContextOverflowError | ServerUnavailableError
    ) -> Lost | None:
        if isinstance(error, RetryError):
            tries = error.last_attempt.attempt_number
            return Lost("transport", f"no reply in {tries} tries: {one_line(error.last_attempt.exception(), _SAID)}")
        if isinstance(error, ContextOverflowError):
            return Lost("window", f"doesn't fit the summarizer: {one_line(error, _SAID)}")
        if isinstance(effect, Measure):  # a server that can't count, a proxy for example: it is estimated instead
            return None
        raise error
