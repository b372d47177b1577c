"""A server as a child process: its port, its health, its end, and what its log says about a failure."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from inftythink_graph.errors import InvalidInputError, ServerUnavailableError

__all__ = [
    "check_port",
    "child",
    "free_port",
    "last_words",
    "reachable",
    "signals_as_interrupts",
    "wait_until_healthy",
]

_GRACE = 30.0  # seconds that a server may take to end by itself


def reachable(host: str) -> str:
    """The host to connect to where a server listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidInputError(
                f"can't listen on {host} port {port} ({error.strerror}): choose another one with --port"
            ) from error


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def child(
    command: Sequence[str], env: Mapping[str, str], output: IO[bytes] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a group of its own and end exactly that group.

    It stays in the caller's session. Linux shares the processors among sessions first (autogroup scheduling): on a
    machine of a few cores, beside a server of another session whose processes never rest, the caller would hardly run.
    """
    process = subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group outlives its leader if a worker hangs, so it gets both signals whatever became of the leader.
    for order, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, order)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    process.poll()


def wait_until_healthy(process: subprocess.Popen[bytes], url: str, *, timeout: float | None, hint: str) -> None:
    """Return as soon as the server answers /health.

    Raises:
        ServerUnavailableError: it ended, or didn't answer within ``timeout`` seconds (None: no limit).
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        status = process.poll()
        if status is not None:
            raise ServerUnavailableError(f"vLLM ended with status {status} before it was ready; {hint}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass  # not yet
        if deadline is not None and time.monotonic() > deadline:
            raise ServerUnavailableError(f"vLLM was not ready after {timeout:g} s; {hint}")
        time.sleep(0.25)


def last_words(log: Path) -> str:
    """What a log says about a failure: its last error that names a cause, or else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"(Error|Exception): \S|: error: ", line)]
    telling = [line for line in errors if "root cause" not in line] or errors or lines
    return f"it says: {telling[-1][-400:]}" if telling else "it is empty"


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM end a server the way Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
