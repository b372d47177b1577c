"""A server on a real socket that counts, step by step, in the native format; faults are provoked request by request.

"Count to N." takes N epochs: the summary says how far it is, and the conclusion boxes N.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["CountingServer", "Trouble", "counting", "served"]


@dataclass(frozen=True)
class Trouble:
    """What becomes of a request instead of a reply.

    Attributes:
        kind: ``status``: an error reply. ``reset``: the connection is reset. ``cut``: half of the reply, then the end.
            ``hang``: nothing at all, until the client goes away.
        status: of an error reply.
        retry_after: its header; "" for none.
        message: its text.
    """

    kind: str
    status: int = 503
    retry_after: str = ""
    message: str = "too much"


def counting(number: int) -> str:
    """The question whose answer takes that many epochs."""
    return f"Count to {number}."


@dataclass
class CountingServer:
    """The server; use it as an asynchronous context manager.

    Attributes:
        trouble: called with the number of a completion request, from 0, and its body; what becomes of it, None for a
            proper reply.
        port: 0 takes a free one.
        asked: (question, how far it was) of each completion request that got a proper reply, in order.
        health: what ``/health`` says.
        delay: seconds before a reply.
        most: requests at a time; the others get a 429. None for any number.
        peak: the most requests that were there at a time.
    """

    trouble: Callable[[int, dict[str, Any]], Trouble | None] = lambda number, body: None
    port: int = 0
    served: str = "counter"
    asked: list[tuple[str, int]] = field(default_factory=list)
    health: int = 200
    delay: float = 0.0
    most: int | None = None
    peak: int = 0
    requests: int = 0
    refused: int = 0
    _answered: asyncio.Condition = field(default_factory=asyncio.Condition)
    _running: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and reset all connections, as a process that is killed does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def has_answered(self, number: int) -> None:
        """Wait until that many requests got a proper reply."""
        async with self._answered:
            await self._answered.wait_for(lambda: len(self.asked) >= number)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(match[1]) if (match := re.search(r"content-length: (\d+)", head, re.IGNORECASE)) else 0
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self._reply(head.split()[1].partition("?")[0], body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _reply(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if path == "/health":
            return self._send(writer, self.health, {})
        if path == "/v1/models":
            return self._send(writer, 200, {"data": [{"id": self.served, "max_model_len": 4096}]})
        if path == "/tokenize":
            return self._send(writer, 200, {"count": 10, "max_model_len": 4096, "tokens": list(range(10))})
        number, self.requests = self.requests, self.requests + 1
        if self.most is not None and self._running >= self.most:
            self.refused += 1
            return self._send(writer, 429, {"error": {"message": "queue is full", "code": 429}})
        self._running += 1
        self.peak = max(self.peak, self._running)
        try:
            await asyncio.sleep(self.delay)
            trouble = self.trouble(number, body)
            if trouble is not None:
                return await self._make(trouble, writer)
            self._send(writer, 200, self._completion(body))
            async with self._answered:
                self._answered.notify_all()
        finally:
            self._running -= 1

    async def _make(self, trouble: Trouble, writer: asyncio.StreamWriter) -> None:
        if trouble.kind == "reset":
            writer.transport.abort()
        elif trouble.kind == "hang":
            await asyncio.sleep(3600)
        elif trouble.kind == "cut":
            writer.write(
                b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"id": "half'
            )
            await writer.drain()
            writer.close()
        else:
            more = {"Retry-After": trouble.retry_after} if trouble.retry_after else {}
            error = {"error": {"message": trouble.message, "code": trouble.status}}
            self._send(writer, trouble.status, error, more)

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: int, reply: Any, more: dict[str, str] | None = None) -> None:
        data = json.dumps(reply).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(more or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + data)

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        text = "\n".join(str(message["content"]) for message in body["messages"])
        question = match[0] if (match := re.search(r"Count to \d+\.", text)) else ""
        number = int(re.sub(r"\D", "", question) or 1)
        step = int(match[1]) if (match := re.search(r"(\d+) of \d+", text)) else 0
        self.asked.append((question, step))
        if step + 1 >= number:
            content = f"<think>\nstep {step + 1}\n</think>\nDone: \\boxed{{{number}}}"
        else:
            content = f"<think>\nstep {step + 1}\n</think>\n<summary>\n{step + 1} of {number}\n</summary>"
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
        return {"id": "c", "object": "chat.completion", "model": self.served, "choices": [choice], "usage": usage}


@contextmanager
def served(**options: Any) -> Iterator[CountingServer]:
    """The server in a thread of its own, for clients in other processes and for code that blocks."""
    server, ready, loop = CountingServer(**options), threading.Event(), asyncio.new_event_loop()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(server.stop())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ready.wait()
    yield server
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
