"""The way from workers to the build: an actor beside the build that takes their questions and hands out its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

__all__ = ["OWNER", "RemoteReplies", "enlist", "open_desk"]

OWNER: ContextVar[int] = ContextVar("OWNER")
"""The number of the example that the code at hand works on."""


class _Desk:
    """Holds questions until the build takes them, and whoever asks until the build answers."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[tuple[int, str, tuple[Any, ...]]] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    async def ask(self, name: str, *arguments: Any) -> Any:
        """A worker's question; returns the build's answer."""
        self._number += 1
        number = self._number
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait((number, name, arguments))
        try:
            return await self._waiting[number]
        finally:
            del self._waiting[number]

    async def take(self) -> list[tuple[int, str, tuple[Any, ...]]]:
        """The questions since the last call, at least one: (number, name, arguments)."""
        taken = [await self._asked.get()]
        while not self._asked.empty():
            taken.append(self._asked.get_nowait())
        return taken

    async def answer(self, number: int, value: Any) -> None:
        """The build's answer."""
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(value)


def open_desk(questions: int) -> Any:
    """Start the actor, on this machine.

    Args:
        questions: the most that wait for an answer at a time.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    room = 2 * questions + 100  # questions of workers that died may still wait
    return ray.remote(_Desk).options(num_cpus=0, max_concurrency=room, scheduling_strategy=here).remote()


def enlist(desk: Any) -> None:
    """Tell the build of this worker, so that it ends with the work that it was started for, however that ends."""
    ray.get(desk.ask.remote("enlist", ray.get_runtime_context().current_actor))


class RemoteReplies:
    """A :class:`~datasets_build.summaries.request_cache.ReplyCache` in a worker: the build's own journal, by the desk.

    Requests belong to the example in :data:`OWNER`.
    """

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def call(self, key: str, request: Callable[[], Any]) -> tuple[Any, bool]:
        """Not needed: workers ask asynchronously."""
        raise NotImplementedError("workers ask asynchronously")

    async def acall(self, key: str, request: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """The reply and whether it was known; a new one is in the build's journal when this returns."""
        owner = OWNER.get()
        known = await self._desk.ask.remote("claim", owner, key)
        if known is not None:
            return known, True
        try:
            value = await request()
        except BaseException:
            await self._desk.ask.remote("leave", owner, key)
            raise
        await self._desk.ask.remote("keep", owner, key, value)
        return value, False
