"""``inftythink serve MODEL``: a vLLM server with the settings that the graph profits from.

- Prefix caching: the question's part of a prompt is computed once, however many epochs follow.
- Details of prompt tokens: ``usage_metadata`` tells cached tokens.
- The think tags as reasoning tags: ``thinking_token_budget`` works without a reasoning parser. The text stays raw, tags
  included, which is what :func:`inftythink_graph.protocol.parse` likes best.

Everything after ``--`` goes to vLLM as it is, and wins over what is set here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from inftythink_graph._serve_command import BUNDLED, ServeOptions, build_command, open_to_network, served_name
from inftythink_graph._serve_process import (
    check_port,
    child,
    free_port,
    last_words,
    reachable,
    signals_as_interrupts,
    wait_until_healthy,
)
from inftythink_graph.errors import InftyThinkError, ServerUnavailableError, one_line

__all__ = [
    "BUNDLED",
    "RunningServer",
    "ServeOptions",
    "build_command",
    "build_parser",
    "main",
    "running_server",
    "serve",
    "served_name",
]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers.

    Attributes:
        base_url: what ``ChatVLLM`` and every OpenAI client take.
        model: the served model's name.
        log: the file with the server's output.
        pid: its process, which is also its process group.
        seconds: from the start to the first answer.
    """

    base_url: str
    model: str
    log: Path
    pid: int
    seconds: float


@contextmanager
def running_server(
    model: str = BUNDLED,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    log: str | Path | None = None,
    startup_timeout: float = 600.0,
    **options: Unpack[ServeOptions],
) -> Iterator[RunningServer]:
    """A vLLM server for the length of a ``with`` block.

    Args:
        model: ``bundled``, a model's folder, or a name on the Hugging Face hub.
        host: the address to listen on; the default is reachable from this machine only.
        port: the port to listen on; None takes a free one.
        log: the file for the server's output; by default a new one in the system's folder for temporary files.
        startup_timeout: seconds until the first answer, loading the model included.
        options: as in :class:`ServeOptions`.

    Raises:
        ServerUnavailableError: the server didn't come up; the message has the end of its log.
        InftyThinkError: as :func:`build_command`.
    """
    port = free_port(host) if port is None else port
    command, env = build_command(model, host=host, port=port, **options)
    check_port(host, port)
    path = Path(log) if log is not None else Path(tempfile.mkdtemp(prefix="inftythink-serve-")) / "server.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    url = f"http://{reachable(host)}:{port}"
    begun = time.monotonic()
    with path.open("wb") as output, child(command, env, output) as process:
        try:
            wait_until_healthy(process, url, timeout=startup_timeout, hint=f"its log is {path}")
        except ServerUnavailableError as error:
            raise ServerUnavailableError(f"{error}; {last_words(path)}") from None
        yield RunningServer(
            base_url=f"{url}/v1",
            model=options.get("name") or served_name(model),
            log=path,
            pid=process.pid,
            seconds=time.monotonic() - begun,
        )


def serve(model: str = BUNDLED, *, host: str = "127.0.0.1", port: int = 8000, **options: Unpack[ServeOptions]) -> int:
    """Run a server in the foreground until it is interrupted; arguments and errors as in :func:`build_command`.

    Returns:
        0 after Ctrl-C or SIGTERM, otherwise vLLM's own exit status.

    Raises:
        ServerUnavailableError: vLLM ended before it was ready.
    """
    command, env = build_command(model, host=host, port=port, **options)
    check_port(host, port)
    if warning := open_to_network(command, env):
        print(f"inftythink serve: {warning}", file=sys.stderr, flush=True)
    url = f"http://{reachable(host)}:{port}"
    try:
        with signals_as_interrupts(), child(command, env, None) as process:
            wait_until_healthy(process, url, timeout=None, hint="its own messages are above")
            print(_usage(f"{url}/v1", options.get("name") or served_name(model)), flush=True)
            return process.wait()
    except KeyboardInterrupt:
        return 0


def _usage(base_url: str, name: str) -> str:
    return (
        f"\nready: {name} at {base_url}\n"
        f'  inftythink solve "..." --base-url {base_url} --model {name}\n'
        f'  create_inftythink_graph(model=ChatVLLM(model="{name}", base_url="{base_url}"))\n'
    )


def build_parser() -> argparse.ArgumentParser:
    """The parser of what stands before ``--``."""
    parser = argparse.ArgumentParser(
        prog="inftythink serve",
        description="Serve a model with vLLM, set up for InftyThink.",
        epilog="Arguments after -- go to vLLM as they are, for example: -- --tensor-parallel-size 2",
    )
    parser.add_argument(
        "model", nargs="?", default=BUNDLED, help="a model's folder, a hub name, or 'bundled' (default)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: this machine only); another one wants a VLLM_API_KEY",
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--name", help="name to serve the model under")
    parser.add_argument("--max-model-len", type=int, help="context window in tokens (default: as trained)")
    parser.add_argument("--reasoning-parser", help="one of vLLM's reasoning parsers; not needed for InftyThink")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: auto")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Exit status: 0 interrupted, 1 the server failed, 2 it was asked for something impossible."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    extra: list[str] = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, extra = arguments[:split], arguments[split + 1 :]
    try:
        return serve(**vars(build_parser().parse_args(arguments)), extra=extra)
    except InftyThinkError as error:
        print(f"inftythink serve: {one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, ServerUnavailableError) else 2


if __name__ == "__main__":
    sys.exit(main())
