"""How the text of a request reaches its caller while it is written, and how a caller says that it has left."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["Listener", "TextPieces", "listen", "listen_async"]

Result = TypeVar("Result")


class Listener:
    """One caller, as the generating thread sees it: told pieces of text, never waited for.

    Args:
        deliver: takes a piece without blocking; None for a caller who waits for the whole.

    Attributes:
        gone: nobody waits any more; the request may end where it is.
    """

    def __init__(self, deliver: Callable[[str], None] | None = None) -> None:
        self.gone = False
        self.streams = deliver is not None
        self._deliver = deliver

    def put(self, text: str) -> None:
        """Hand out the next piece."""
        if self._deliver is not None and text and not self.gone:
            self._deliver(text)

    def leave(self) -> None:
        """The caller has what it wants, or gave up."""
        self.gone = True


class TextPieces:
    """The text of a growing sequence of tokens, piece by piece; what may still change is held back.

    A character can take several tokens, and a tokenizer may write a token differently at the beginning of a text. So
    the last tokens are decoded together with those before them, and only what the new ones add is given.

    Args:
        decode: token ids to text.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = self._read = 0

    def feed(self, token: int) -> str:
        """Take one more token; returns what is certain by now, perhaps nothing."""
        self._ids.append(token)
        before = self._decode(self._ids[self._start : self._read])
        now = self._decode(self._ids[self._start :])
        if len(now) <= len(before) or now.endswith("�"):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return now[len(before) :]


def _drained(first: str | None, waiting: Callable[[], str | None], empty: type[Exception]) -> tuple[str, bool]:
    """Everything that lies ready, as one piece; and whether it was the last. A slow reader gets longer pieces."""
    pieces: list[str] = []
    item = first
    while item is not None:
        pieces.append(item)
        try:
            item = waiting()
        except empty:
            return "".join(pieces), False
    return "".join(pieces), True


def listen(submit: Callable[[Listener], Future[Result]]) -> Generator[str | Result]:
    """The pieces of one request as they come, then its result. Whoever stops reading gives the request up.

    Args:
        submit: hands the request over, with this listener.
    """
    pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    listener = Listener(pieces.put)
    future = submit(listener)
    future.add_done_callback(lambda _: pieces.put(None))
    try:
        over = False
        while not over:
            text, over = _drained(pieces.get(), pieces.get_nowait, queue.Empty)
            if text:
                yield text
        yield future.result()
    finally:
        listener.leave()
        future.cancel()


async def listen_async(submit: Callable[[Listener], Future[Result]]) -> AsyncGenerator[str | Result]:
    """As :func:`listen`, without blocking the event loop."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def deliver(text: str | None) -> None:
        try:
            loop.call_soon_threadsafe(pieces.put_nowait, text)
        except RuntimeError:  # the loop was closed with the request under way: nobody is there to be told
            listener.leave()

    listener = Listener(deliver)
    future = submit(listener)
    future.add_done_callback(lambda _: deliver(None))
    try:
        over = False
        while not over:
            text, over = _drained(await pieces.get(), pieces.get_nowait, asyncio.QueueEmpty)
            if text:
                yield text
        yield future.result()
    finally:
        listener.leave()
        future.cancel()
