"""aiohttp beneath the OpenAI client, for a quarter of the processor time that httpx's own transport takes.

Connections belong to the event loop that opened them. A model that is used by two ``asyncio.run`` in a row, or in two
threads, must not find the other one's idle connections: it would fail with "Event loop is closed". So each event loop
has one session, which all models share.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import lru_cache
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import aiohttp
import httpx2
import yarl

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.redaction import split_address

__all__ = ["AiohttpTransport"]

_KEEPALIVE = 4.0  # seconds that an idle connection is kept: less than the 5 after which uvicorn closes it

# What went wrong, in httpx's terms: the first that fits. Whether it is a timeout decides what becomes of a server.
_TERMS: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (TimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx2.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx2.ProxyError),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx2.UnsupportedProtocol),
    (aiohttp.ClientError, httpx2.ReadError),
    (OSError, httpx2.ReadError),
)

_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, int]] = WeakKeyDictionary()
_lock = threading.Lock()


def _session() -> aiohttp.ClientSession:
    """The running event loop's session."""
    loop = asyncio.get_running_loop()
    with _lock:
        if loop not in _sessions:
            _leave_closed_loops()
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
            _sessions[loop] = (session, os.getpid())
        return _sessions[loop][0]


def _leave_closed_loops() -> None:
    """Let go of the sessions of loops that nothing runs in any more, or aiohttp complains that nobody closed them."""
    for loop, (session, _) in list(_sessions.items()):
        if loop.is_closed():
            del _sessions[loop]
            with suppress(StopIteration):
                session.close().send(None)  # there is nothing to wait for


@atexit.register
def _leave() -> None:
    with _lock:
        _leave_closed_loops()
        left = list(_sessions.items())
    for loop, (session, process) in left:
        # A process that was forked shares its parent's connections: they are not its to close.
        if not loop.is_running() and process == os.getpid():
            loop.run_until_complete(session.close())


def _reason(error: Exception, request: httpx2.Request) -> str:
    """What went wrong, without the request's address and headers, which may hold credentials."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, TimeoutError):
        return "no answer within the time limit"
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return f"no address for HTTP requests: {request.url.scheme}://{request.url.host}"
    if (
        isinstance(error, OSError)
        and not isinstance(error, ssl.SSLError)
        and error.errno is not None
        and error.errno > 0
    ):
        return os.strerror(error.errno)
    return str(error)


def _translated(error: Exception, request: httpx2.Request) -> httpx2.TransportError:
    """The error in httpx's terms."""
    kind = next(kind for known, kind in _TERMS if isinstance(error, known))
    return kind(_reason(error, request), request=request)


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """How servers prove who they are. Reading the machine's certificates takes longer than many requests."""
    return httpx2.create_ssl_context()


class _Body(httpx2.AsyncByteStream):
    """The body of a response, as it comes."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response, self._request = response, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
            return
        except (aiohttp.ClientError, OSError) as error:
            failure = _translated(error, self._request)
        raise failure  # with nothing of aiohttp's behind it

    async def aclose(self) -> None:
        # Its connection is kept if the body was read to its end, and else closed: the server stops writing.
        self._response.release()


@lru_cache(maxsize=64)
def _address(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)


def _proxy(scheme: str, host: str) -> tuple[str | None, dict[str, str] | None]:
    """The proxy that the environment names for a host, and the headers that it asks for; None for no proxy.

    Raises:
        InvalidInputError: it is one that aiohttp can't speak to.
    """
    known = getproxies()
    named = known.get(scheme) or known.get("all")
    if not named or proxy_bypass(host):
        return None, None
    address = split_address(named if "://" in named else f"http://{named}")
    kind = address.url.partition(":")[0]
    if kind not in ("http", "https"):
        raise InvalidInputError(
            f"the environment names a proxy of the kind {kind!r} for {host}; allowed: http, https, a host in NO_PROXY,"
            " or a client of your own as http_async_client"
        )
    return address.url, {"Proxy-Authorization": address.login} if address.login else None


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Requests over aiohttp, for an httpx client. Redirects, cookies and decompression stay httpx's."""

    def __init__(self) -> None:
        self._context = _context()
        self._proxy = lru_cache(maxsize=64)(_proxy)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; returns as soon as the response's head is there.

        Raises:
            httpx2.TransportError: the server couldn't be reached, broke off, or took too long.
        """
        limits = request.extensions.get("timeout", {})
        proxy, login = self._proxy(request.url.scheme, request.url.host)
        headers = request.headers.multi_items()
        if login and request.url.scheme == "http":  # aiohttp shows its login only where it asks for a tunnel
            headers.extend(login.items())
        content = await request.aread()
        try:
            response = await _session().request(
                request.method,
                _address(str(request.url)),
                headers=headers,
                data=content or None,
                allow_redirects=False,
                ssl=self._context,
                proxy=proxy,
                proxy_headers=login,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=limits.get("pool"),
                    sock_connect=limits.get("connect"),
                    sock_read=limits.get("read"),
                ),
            )
        except (aiohttp.ClientError, OSError) as error:
            failure = _translated(error, request)
        else:
            return httpx2.Response(
                response.status,
                headers=response.raw_headers,
                stream=_Body(response, request),
                extensions={"http_version": b"HTTP/1.1", "reason_phrase": (response.reason or "").encode()},
            )
        raise failure  # with nothing of aiohttp's behind it
