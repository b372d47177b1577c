"""What ChatVLLM's requests travel over: one session an event loop, errors in httpx's terms, proxies as named."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from counting_server import CountingServer, Trouble
from fake_vllm import KEY, QUESTION, FakeVLLM

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models._vllm_http import AiohttpTransport
from inftythink_graph.models.vllm import ChatVLLM

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _listening(talk: Talk) -> AsyncIterator[int]:
    """The port of a server that treats each connection in that way."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (Trouble("reset"), (httpx2.ReadError, httpx2.RemoteProtocolError)),
        (Trouble("cut"), httpx2.RemoteProtocolError),
        (Trouble("hang"), httpx2.ReadTimeout),
    ],
    ids=lambda each: getattr(each, "kind", ""),
)
async def test_errors_come_in_httpx_terms(trouble: Trouble, expected: type[Exception]) -> None:
    client = httpx2.AsyncClient(transport=AiohttpTransport(), timeout=0.5)
    async with CountingServer(trouble=lambda number, body: trouble) as server, client:
        with pytest.raises(expected):
            await client.post(f"{server.url}/chat/completions", json={"messages": []})


@pytest.mark.parametrize(
    "talk",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"",
    ],
    ids=["not HTTP", "half", "half of the chunks", "nothing"],
)
async def test_what_is_no_reply_is_a_protocol_error(talk: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(talk)
        await writer.drain()

    async with _listening(reply) as port, httpx2.AsyncClient(transport=AiohttpTransport(), timeout=5) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("url", "expected", "reason"),
    [
        ("http://127.0.0.1:9/v1", httpx2.ConnectError, "Connection refused"),
        ("ftp://127.0.0.1/v1", httpx2.UnsupportedProtocol, "ftp://127.0.0.1"),
    ],
)
async def test_who_cannot_be_reached(url: str, expected: type[Exception], reason: str) -> None:
    async with httpx2.AsyncClient(transport=AiohttpTransport(), timeout=5) as client:
        with pytest.raises(expected, match=reason):
            await client.get(f"{url}?token={KEY}")


@pytest.mark.parametrize("kind", ["reset", "cut", "hang"])
async def test_no_error_shows_headers_or_parameters(kind: str) -> None:
    async with CountingServer(trouble=lambda number, body: Trouble(kind)) as server:
        model = ChatVLLM(model="m", base_url=f"{server.url}?token={KEY}x", api_key=KEY, max_retries=0, timeout=0.5)
        with pytest.raises(Exception) as caught:  # noqa: PT011  # any error will do
            await model.ainvoke(QUESTION)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    step: BaseException | None = caught.value
    while step is not None:
        assert KEY not in repr(step)
        assert not type(step).__module__.startswith("aiohttp"), "those know the whole request"
        step = step.__cause__ or step.__context__


async def test_connections_are_used_again_and_shared_by_models(fake: FakeVLLM) -> None:
    connections = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        behind, ahead = await asyncio.open_connection("127.0.0.1", int(fake.url.split(":")[2].split("/")[0]))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, ahead), pump(behind, writer))

    async with _listening(forward) as port:
        models = [ChatVLLM(model="m", base_url=f"http://127.0.0.1:{port}/v1") for _ in range(2)]
        for _ in range(3):
            for model in models:
                assert (await model.ainvoke(QUESTION)).text == "seven"
        assert connections == 1
        await asyncio.gather(*(models[0].ainvoke(QUESTION) for _ in range(5)))
        assert 2 <= connections <= 5


async def test_a_reader_who_leaves_a_stream_ends_it_at_the_server() -> None:
    gone = asyncio.Event()
    chunk = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    chunk += b'"delta":{"content":"x"}}]}\n\n'

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    async with _listening(stream) as port:
        model = ChatVLLM(model="m", base_url=f"http://127.0.0.1:{port}/v1")
        pieces = model.astream(QUESTION)
        assert (await anext(pieces)).text == "x"
        await pieces.aclose()  # type: ignore[attr-defined]  # a generator
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_call_that_is_cancelled_ends_at_the_server() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        while await reader.read(65536):
            pass
        gone.set()

    async with _listening(hang) as port:
        call = asyncio.create_task(ChatVLLM(model="m", base_url=f"http://127.0.0.1:{port}/v1").ainvoke(QUESTION))
        await asyncio.wait_for(asked.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(gone.wait(), 10)


async def test_the_environments_proxy_is_asked_and_told_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []
    reply = json.dumps({"data": [{"id": "proxied", "max_model_len": 77}]}).encode()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(f"Content-Length: {len(reply)}\r\n\r\n".encode() + reply)
        await writer.drain()

    async with _listening(proxy) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://us%40er:pass@127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.test")
        assert (await ChatVLLM(base_url="http://far.test/v1", api_key=KEY).adescribe()).window == 77
    assert heads[0].startswith("GET http://far.test/v1/models HTTP/1.1")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us@er:pass').decode()}" in heads[0]


async def test_hosts_that_need_no_proxy_are_asked_directly(fake: FakeVLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert (await ChatVLLM(model="m", base_url=fake.url).ainvoke(QUESTION)).text == "seven"
    monkeypatch.delenv("NO_PROXY")
    with pytest.raises(Exception, match="Connection refused"):
        await ChatVLLM(model="m", base_url=fake.url, max_retries=0).ainvoke(QUESTION)


async def test_a_proxy_of_another_kind_is_named(fake: FakeVLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:{KEY}@127.0.0.1:9")
    with pytest.raises(InvalidInputError, match=r"'socks5' for 127\.0\.0\.1; allowed: http, https") as caught:
        await ChatVLLM(model="m", base_url=fake.url).ainvoke(QUESTION)
    assert KEY not in str(caught.value)


SCRIPT = """
import asyncio, sys
from inftythink_graph import ChatVLLM
model = ChatVLLM(model="m", base_url=sys.argv[1])
for _ in range(2):
    print(asyncio.run(model.ainvoke("3 + 4")).text)
loop = asyncio.new_event_loop()
print(loop.run_until_complete(model.ainvoke("3 + 4")).text)
"""


def test_nobody_has_to_close_anything(fake: FakeVLLM) -> None:
    words = [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning:asyncio", "-c", SCRIPT, fake.url]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.split() == ["seven"] * 3
    assert "Unclosed" not in ended.stderr, ended.stderr


async def test_requests_are_logged_as_by_httpx(fake: FakeVLLM, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await ChatVLLM(model="m", base_url=fake.url).ainvoke(QUESTION)
    assert any(f'POST {fake.url}/chat/completions "HTTP/1.1 200 OK"' in line for line in caplog.messages)
