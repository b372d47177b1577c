"""The servers of a run: which are there, how much each is given, and which one a trajectory asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

import httpx
from langchain_core.language_models import BaseChatModel

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models.base import DescribesItself, ModelInfo
from inftythink_graph.models.transport import name_of
from inftythink_graph.redaction import shown_url
from inftythink_graph.runner.faults import Fault, NoServerLeftError, fault_of
from inftythink_graph.runner.gate import Gate

__all__ = ["Endpoint", "EndpointPool"]

_PROBE_SECONDS = 10.0  # that a server may take to say how it is
_SHORTEST, _LONGEST = 0.5, 15.0  # seconds between two looks at a server that is away
_TIMEOUTS = 2  # unanswered requests in a row after which a server is left alone for a while


class Endpoint:
    """One server, or a model in this process.

    Attributes:
        model: what asks it.
        name: what to call it: its address without credentials, or the model's name.
        gate: how many requests it is sent at a time.
        up: whether it is asked at all.
        assigned: trajectories that ask it.
        succeeded: requests that went well.
    """

    def __init__(self, model: BaseChatModel, *, most: int) -> None:
        self.model = model
        url = getattr(model, "openai_api_base", None)
        self._root = str(url).rstrip("/").removesuffix("/v1") if url else ""
        self.name = shown_url(str(url)) if url else name_of(model) or type(model).__name__
        self.gate = Gate(most)
        self.up = True
        self.assigned = 0
        self.succeeded = 0
        self.unanswered = 0
        """Requests in a row that got no answer in time."""

    async def is_healthy(self) -> bool:
        """Whether the server says so: vLLM's ``/health``, or its list of models where a proxy knows no such path."""
        if not self._root:
            return True
        headers = getattr(self.model, "default_headers", None) or {}
        key = getattr(self.model, "openai_api_key", None)
        if key is not None and hasattr(key, "get_secret_value"):
            headers = {"Authorization": f"Bearer {key.get_secret_value()}", **headers}
        try:
            async with httpx.AsyncClient(timeout=_PROBE_SECONDS, trust_env=False) as client:
                reply = await client.get(f"{self._root}/health", headers=headers)
                if reply.status_code in (404, 405):
                    reply = await client.get(f"{self._root}/v1/models", headers=headers)
        except httpx.HTTPError:
            return False
        return reply.status_code < 500


async def _described(model: BaseChatModel) -> ModelInfo | Exception:
    """What a model says of itself; the error of a server that is away."""
    if not isinstance(model, DescribesItself):
        return ModelInfo()
    try:
        return await model.adescribe()
    except Exception as error:
        if fault_of(error) is None:
            raise
        return error


class EndpointPool:
    """The servers of a run. Used from one event loop.

    Args:
        models: a chat model for each server.
        most: most requests to one of them at a time.
        give_up_after: seconds without an answer from any of them after which a run ends; None for never.

    Raises:
        InvalidInputError: there are no models, or two of the same address.
    """

    def __init__(self, models: Iterable[BaseChatModel], *, most: int, give_up_after: float | None = 1800.0) -> None:
        self.endpoints: Sequence[Endpoint] = [Endpoint(model, most=most) for model in models]
        if not self.endpoints:
            raise InvalidInputError("a run needs at least one server or model")
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names):
            raise InvalidInputError(f"a server is named twice: {', '.join(names)}")
        self._give_up_after = give_up_after
        self._last_answer = time.monotonic()
        self._changed = asyncio.Event()
        self._probes: set[asyncio.Task[None]] = set()

    @property
    def succeeded(self) -> int:
        """Requests that went well, of all servers."""
        return sum(endpoint.succeeded for endpoint in self.endpoints)

    async def choose(self, current: Endpoint | None) -> Endpoint:
        """The endpoint for the next request of a trajectory: the one that it has, as long as that is up.

        Otherwise the one with the fewest trajectories for what it takes; while none is up, waits for one.

        Raises:
            NoServerLeftError: none has answered for too long.
        """
        while True:
            if current is not None and current.up:
                return current
            if ready := [endpoint for endpoint in self.endpoints if endpoint.up]:
                chosen = min(ready, key=lambda endpoint: endpoint.assigned / endpoint.gate.limit)
                self.leave(current)
                chosen.assigned += 1
                return chosen
            self._changed.clear()
            try:
                async with asyncio.timeout(self._patience_left()):
                    await self._changed.wait()
            except TimeoutError:
                self.check_patience()

    async def learn(self) -> ModelInfo:
        """Ask all servers what they serve. Those that are away are looked after, as long as one is there.

        Raises:
            ModelNotServedError: one of them doesn't serve the model.
            InvalidInputError: they don't serve the same model, or not in the same window.
            Exception: none of them is there; what the first one met.
        """
        found = await asyncio.gather(*(_described(endpoint.model) for endpoint in self.endpoints))
        there = [each for each in found if isinstance(each, ModelInfo)]
        if not there:
            raise next(each for each in found if isinstance(each, Exception))
        for endpoint, each in zip(self.endpoints, found, strict=True):
            if isinstance(each, Exception):
                self._take_down(endpoint, at_once=True)
            elif each.window != there[0].window or each.card != there[0].card:
                raise InvalidInputError(
                    f"all servers must serve the same model: {endpoint.name} has a window of {each.window} tokens,"
                    f" another one {there[0].window}"
                    if each.window != there[0].window
                    else f"all servers must serve the same model: the card of {endpoint.name}'s differs from another's"
                )
        return there[0]

    def leave(self, endpoint: Endpoint | None) -> None:
        """A trajectory is done with an endpoint."""
        if endpoint is not None:
            endpoint.assigned -= 1

    def answered(self, endpoint: Endpoint) -> None:
        """A request went well."""
        self._last_answer = time.monotonic()
        endpoint.succeeded += 1
        endpoint.unanswered = 0
        endpoint.gate.succeeded()

    async def failed(self, endpoint: Endpoint, fault: Fault, pause: float | None) -> None:
        """A request met a fault of the server.

        Args:
            endpoint: the server.
            fault: what befell it.
            pause: seconds that it asks to be left alone for.

        Raises:
            NoServerLeftError: no server has answered for too long.
        """
        self.check_patience()
        if fault == "overload":
            endpoint.gate.overloaded(pause)
            return
        if fault == "broken":
            if pause:
                endpoint.gate.overloaded(pause)
            return
        if fault == "timeout":
            endpoint.unanswered += 1
            endpoint.gate.overloaded()
            if endpoint.unanswered < _TIMEOUTS:
                return
        if endpoint.up and (fault == "timeout" or not await endpoint.is_healthy()):
            self._take_down(endpoint, at_once=fault != "timeout")

    def _take_down(self, endpoint: Endpoint, *, at_once: bool) -> None:
        if not endpoint.up:  # another request has found out meanwhile
            return
        endpoint.up = False
        probe = asyncio.create_task(self._bring_back(endpoint, _SHORTEST if at_once else _LONGEST))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _bring_back(self, endpoint: Endpoint, wait: float) -> None:
        while True:
            await asyncio.sleep(wait)
            if await endpoint.is_healthy():
                break
            wait = min(wait * 2, _LONGEST)
        endpoint.up, endpoint.unanswered = True, 0
        self._changed.set()

    def _patience_left(self) -> float | None:
        if self._give_up_after is None:
            return None
        return max(self._last_answer + self._give_up_after - time.monotonic(), 0.0)

    def check_patience(self) -> None:
        """Raise :class:`~inftythink_graph.runner.faults.NoServerLeftError` where none has answered for too long."""
        if self._patience_left() == 0.0:
            names = ", ".join(endpoint.name for endpoint in self.endpoints)
            raise NoServerLeftError(
                f"no answer from {names} for {self._give_up_after:,.0f} seconds; all that was thought is kept:"
                " see to the servers and run the same command again"
            )

    async def close(self) -> None:
        """Stop looking at servers that are away."""
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
