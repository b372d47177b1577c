"""Which errors of a call may pass by themselves, as a real socket provokes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest

from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.models.transport import is_transport_error
from inftythink_graph.models.vllm import ChatVLLM

_CHUNK = (
    b'data: {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",'
    b' "choices": [{"index": 0, "delta": {"content": "The sum is "}}]}\n\n'
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + f"{len(_CHUNK):x}\r\n".encode()
    + _CHUNK
    + b"\r\n"
)
WHOLE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"id": "1", "choices": ['


class Breaking:
    """Sends the beginning of a reply to every request, and closes the connection."""

    def __init__(self) -> None:
        self.reply = b""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.reply)
        await writer.drain()
        writer.close()


@pytest.fixture
async def breaking() -> AsyncIterator[Breaking]:
    it = Breaking()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield it


async def _ask(model: ChatVLLM, *, streamed: bool) -> None:
    if streamed:
        async for _ in model.astream("q"):
            pass
    else:
        await model.ainvoke("q")


@pytest.mark.parametrize("reply", [STREAM, WHOLE, b""], ids=["in a stream", "in a body", "before the reply"])
async def test_a_reply_that_breaks_off_may_be_asked_for_again(breaking: Breaking, reply: bytes) -> None:
    breaking.reply = reply
    model = ChatVLLM(model="m", base_url=breaking.url, max_retries=0, timeout=20)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one it is, is what is tested
        await _ask(model, streamed=reply is STREAM)
    assert is_transport_error(caught.value), repr(caught.value)


def test_what_would_come_again_is_no_passing_error() -> None:
    for error in (ValueError("x"), ServerUnavailableError("it refuses"), openai.OpenAIError("x"), KeyError("choices")):
        assert not is_transport_error(error)
