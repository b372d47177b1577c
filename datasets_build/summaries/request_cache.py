"""Replies that were paid for, kept in a journal: a finished request is never made again.

The key of a request is a hash of all that its reply depends on: messages, model, sampling, attempt, prompt version.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from inftythink_graph.journal import Journal
from inftythink_graph.protocol import Message

__all__ = ["ReplyCache", "RequestCache", "request_key"]


def request_key(messages: Sequence[Message], *, model: str, sampling: Mapping[str, Any], prompt: str) -> str:
    """The key of a request.

    Args:
        messages: the rendered conversation.
        model: the model's name.
        sampling: all sampling options, with the attempt's seed and number and the token limit.
        prompt: the wording's version (:attr:`~datasets_build.summaries.prompt.SummaryPrompt.identity`).
    """
    whole = {"messages": list(messages), "model": model, "sampling": dict(sampling), "prompt": prompt}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class ReplyCache(Protocol):
    """What the summarizer needs of a cache: :class:`RequestCache`, or something that asks one elsewhere."""

    def call(self, key: str, request: Callable[[], Any]) -> tuple[Any, bool]:
        """The reply with this key, and whether it was known; ``request`` makes it where it wasn't."""

    async def acall(self, key: str, request: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """:meth:`call`, asynchronously."""


class RequestCache:
    """A journal that is asked before a request is made, and told before its reply is used.

    Safe in threads and under asyncio: of several that make the same request at the same time, one makes it and the
    others wait for its reply. If that one fails or is cancelled, the next one makes the request.

    Attributes:
        hits: replies that came from the journal, or from another caller's request.
        misses: requests that were made and finished.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.hits, self.misses = 0, 0
        self._mutex = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}

    def _look_up(self, key: str) -> tuple[Any, Future[None] | None]:
        """The reply, or None and the request under way to wait for; None and None: it is the caller's to make."""
        with self._mutex:
            if key in self.journal:
                self.hits += 1
                return self.journal.get(key), None
            waiting = self._under_way.get(key)
            if waiting is None:
                mine: Future[None] = Future()
                mine.set_running_or_notify_cancel()  # a waiting task that is cancelled must not cancel it
                self._under_way[key] = mine
            return None, waiting

    def _leave(self, key: str) -> None:
        with self._mutex:
            done = self._under_way.pop(key)
        done.set_result(None)

    def _keep(self, key: str, value: Any) -> None:
        if value is None:
            raise TypeError("a reply to keep can't be None")
        self.journal.append(key, value)
        with self._mutex:
            self.misses += 1

    def call(self, key: str, request: Callable[[], Any]) -> tuple[Any, bool]:
        """The reply, as JSON, to the request with this key; ``request`` makes it where it isn't known yet.

        Returns:
            The reply, and whether it was known.

        Raises:
            JournalWriteError: the reply could not be kept; it is not used either.
        """
        while True:
            value, waiting = self._look_up(key)
            if value is not None:
                return value, True
            if waiting is None:
                break
            waiting.result()
        try:
            value = request()
            self._keep(key, value)
        finally:
            self._leave(key)
        return value, False

    async def acall(self, key: str, request: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """:meth:`call`, asynchronously. Once ``request`` has returned, no cancellation comes before the journal."""
        while True:
            value, waiting = self._look_up(key)
            if value is not None:
                return value, True
            if waiting is None:
                break
            await asyncio.wrap_future(waiting)
        try:
            value = await request()
            self._keep(key, value)
        finally:
            self._leave(key)
        return value, False
