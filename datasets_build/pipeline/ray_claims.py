"""The replies' journal for workers elsewhere: a worker claims a request, makes it, and hands its reply in to be kept.

Runs beside the journal, on one event loop. Nothing here knows Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from datasets_build.summaries.request_cache import RequestCache

__all__ = ["Claims"]


class _LeftError(Exception):
    """The worker got no reply."""


@dataclass(slots=True, eq=False)
class _Claim:
    """One worker's claim to one request: ``granted`` once it may make it, ``reply`` is what it then hands in."""

    granted: asyncio.Future[None]
    reply: asyncio.Future[Any]
    task: asyncio.Task[tuple[Any, bool]]


class Claims:
    """Grants each request to one owner at a time, and keeps its reply before anybody gets it.

    An owner is the number of an example. An owner that claims a request again, since the worker that it was on is gone,
    gets the claim that it had. Any other waits until the reply is there, or the claim is left.

    Args:
        cache: keeps the replies.
        at_a_time: claims that are granted at a time; more of them wait.
    """

    def __init__(self, cache: RequestCache, at_a_time: int) -> None:
        self._cache = cache
        self._gate = asyncio.Semaphore(at_a_time)
        self._claims: dict[tuple[int, str], _Claim] = {}

    @property
    def calls(self) -> Mapping[str, Callable[..., Coroutine[Any, Any, Any]]]:
        """What a worker may call, by name."""
        return {"claim": self.claim, "keep": self.keep, "leave": self.leave}

    async def claim(self, owner: int, key: str) -> Any:
        """The reply, where it is known; None grants the request to the owner.

        Raises:
            JournalWriteError: the reply of another owner could not be kept.
        """
        while True:
            claim = self._claims.get((owner, key)) or self._begin(owner, key)
            waited: set[asyncio.Future[Any]] = {claim.task, claim.granted}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not claim.task.done():
                return None
            try:
                return claim.task.result()[0]
            except _LeftError:  # by a worker that was taken for dead
                continue

    def _begin(self, owner: int, key: str) -> _Claim:
        loop, place = asyncio.get_running_loop(), (owner, key)
        granted: asyncio.Future[None] = loop.create_future()
        reply: asyncio.Future[Any] = loop.create_future()

        async def made_elsewhere() -> Any:
            async with self._gate:
                granted.set_result(None)
                return await reply

        claim = _Claim(granted, reply, asyncio.create_task(self._cache.acall(key, made_elsewhere)))
        self._claims[place] = claim
        claim.task.add_done_callback(lambda _: self._claims.pop(place, None))
        return claim

    async def keep(self, owner: int, key: str, value: Any) -> None:
        """Hand in the reply to a claimed request; it is in the journal when this returns.

        Raises:
            JournalWriteError: it could not be kept.
        """
        claim = self._claims.get((owner, key))
        if claim is None or claim.reply.done():  # the claim was given to a second worker that was faster
            return
        claim.reply.set_result(value)
        await claim.task

    async def leave(self, owner: int, key: str) -> None:
        """Give a claim back; no reply came."""
        claim = self._claims.get((owner, key))
        if claim is not None and not claim.reply.done():
            claim.reply.set_exception(_LeftError())
            await asyncio.wait({claim.task})
            claim.task.exception()  # looked at: it is no error here
