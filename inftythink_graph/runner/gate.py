"""How many requests a server is sent at a time: as many as it takes, found out as TCP does (AIMD, RFC 5681)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Gate"]

_COOLDOWN = 1.0  # seconds; one overload is reported by many requests at once, and counts once


class Gate:
    """Lets so many requests through at a time; fewer after an overload, gradually more while all goes well.

    Args:
        most: never more than that many at a time.

    Attributes:
        limit: how many it lets through now; a fraction counts as nothing.
        running: how many are through.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.running = 0
        self._closed_until = 0.0
        self._lowered = -_COOLDOWN
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a place, and give it back at the end."""
        if self._waiting or not self._free():
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            self._open()  # while the gate is closed, this sets the timer that opens it
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():  # let through and cancelled in one turn of the loop
                    self.running -= 1
                    self._open()
                raise
        else:
            self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._open()

    def succeeded(self) -> None:
        """A request went well: one more at a time for every ``limit`` of them."""
        self.limit = min(self.limit + 1 / self.limit, float(self.most))
        self._open()

    def overloaded(self, retry_after: float | None = None) -> None:
        """The server had too much: half as many at a time, and none for as long as it asks for.

        Args:
            retry_after: seconds; None where it asks for nothing.
        """
        now = time.monotonic()
        if now - self._lowered >= _COOLDOWN:
            self._lowered = now
            self.limit = max(min(self.limit, self.running) / 2, 1.0)
        if retry_after:
            self._closed_until = max(self._closed_until, now + retry_after)

    def _free(self) -> bool:
        return self.running < int(self.limit) and time.monotonic() >= self._closed_until

    def _open(self) -> None:
        """Let those through that there is room for."""
        while self._waiting and self._free():
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)
        wait = self._closed_until - time.monotonic()
        if self._waiting and wait > 0 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._open()
