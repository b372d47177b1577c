"""One request for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["once"]

T = TypeVar("T")

_UNDER_WAY: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, asyncio.Task[Any]]] = WeakKeyDictionary()


async def once(key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The outcome of ``ask()``, or of the call with the same key that is under way in this event loop.

    Whoever is cancelled stops waiting; the request goes on for the others. Raises what it raises, to each of them.
    """
    tasks = _UNDER_WAY.setdefault(asyncio.get_running_loop(), {})
    task = tasks.get(key)
    if task is None:
        task = tasks[key] = asyncio.create_task(ask())

        def forget(done: asyncio.Task[Any]) -> None:
            del tasks[key]
            if not done.cancelled():
                done.exception()  # seen, even if all who waited were cancelled

        task.add_done_callback(forget)
    return await asyncio.shield(task)
