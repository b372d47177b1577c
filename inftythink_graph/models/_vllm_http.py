"""An HTTP client that outlives event loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from weakref import WeakKeyDictionary

import openai

__all__ = ["PerLoopClient"]


class PerLoopClient(openai.DefaultAsyncHttpxClient):
    """An asynchronous HTTP client with one connection pool for each event loop.

    Connections belong to the loop that opened them. A model that is used by two ``asyncio.run`` in a row, or in two
    threads, must not find the other one's idle connections: it would fail with "Event loop is closed".
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._lock = threading.Lock()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.DefaultAsyncHttpxClient] = (
            WeakKeyDictionary()
        )

    def _here(self) -> openai.DefaultAsyncHttpxClient:
        loop = asyncio.get_running_loop()
        with self._lock:
            for other in [other for other in self._by_loop if other.is_closed()]:
                del self._by_loop[other]
            if loop not in self._by_loop:
                self._by_loop[loop] = openai.DefaultAsyncHttpxClient(**self._options)
            return self._by_loop[loop]

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request over a connection of the running loop."""
        return await self._here().send(request, **options)

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        with self._lock:
            mine = self._by_loop.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            await mine.aclose()
        await super().aclose()
