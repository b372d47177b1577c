"""An HTTP client that outlives event loops, and stays fast with many requests at a time."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import httpx2
import openai

__all__ = ["PerLoopClient"]

_PER_POOL = 8
"""Requests at a time through one pool. A pool looks at each of its connections for each request, begun or ended: with
64 requests in one pool, that alone is a fifth of what a request costs the client."""


@dataclass
class _Pool:
    """Connections, and how many requests are on them."""

    client: openai.DefaultAsyncHttpxClient
    under_way: int = 0


class PerLoopClient(openai.DefaultAsyncHttpxClient):
    """An asynchronous HTTP client with connection pools of its own for each event loop.

    Connections belong to the loop that opened them. A model that is used by two ``asyncio.run`` in a row, or in two
    threads, must not find the other one's idle connections: it would fail with "Event loop is closed".
    """

    def __init__(self, **options: Any) -> None:
        # Made once: reading the machine's certificates takes longer than many requests.
        options.setdefault("verify", httpx2.create_ssl_context())
        super().__init__(**options)
        self._options = options
        self._lock = threading.Lock()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Pool]] = WeakKeyDictionary()

    def _pool(self) -> _Pool:
        """The running loop's first pool with room, so that few requests share few connections."""
        loop = asyncio.get_running_loop()
        with self._lock:
            for other in [other for other in self._by_loop if other.is_closed()]:
                del self._by_loop[other]
            pools = self._by_loop.setdefault(loop, [])
            for pool in pools:
                if pool.under_way < _PER_POOL:
                    return pool
            pools.append(_Pool(openai.DefaultAsyncHttpxClient(**self._options)))
            return pools[-1]

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request over a connection of the running loop."""
        pool = self._pool()
        pool.under_way += 1
        try:
            return await pool.client.send(request, **options)
        finally:
            pool.under_way -= 1

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        with self._lock:
            mine = self._by_loop.pop(asyncio.get_running_loop(), [])
        for pool in mine:
            await pool.client.aclose()
        await super().aclose()
