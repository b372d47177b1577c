"""The command that starts vLLM, and the care for its process. A small HTTP server stands in for vLLM here."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inftythink_graph import _serve_command, _serve_process, serve
from inftythink_graph.errors import CheckpointError, InftyThinkError, InvalidInputError, ServerUnavailableError
from inftythink_graph.models import CARD_FILE

HEALTHY = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('loading', flush=True); time.sleep(600)"
)
BROKEN = "raise ValueError('no such layer')"


@pytest.fixture(autouse=True)
def _vllm_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_serve_command.util, "find_spec", lambda name: object())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def options(command: list[str]) -> dict[str, str]:
    """The value after each flag; "" for flags without one."""
    pairs = zip(command, [*command[1:], "--"], strict=True)
    return {flag: "" if value.startswith("--") else value for flag, value in pairs if flag.startswith("--")}


def test_command_has_what_the_graph_profits_from(folder: Path) -> None:
    (folder / CARD_FILE).write_text(json.dumps({"method": "inftythink", "context": 256, "eta": 112}))
    command, env = serve.build_command(str(folder), device="cpu", environ={})
    assert command[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    given = options(command)
    assert given["--model"] == str(folder)
    assert given["--served-model-name"] == "tiny"
    assert given["--host"] == "127.0.0.1"
    assert given["--max-model-len"] == "256", "the window that it was trained in"
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details", "--enforce-eager"} <= set(given)
    assert given["--dtype"] == "float32"
    assert json.loads(given["--reasoning-config"]) == {
        "reasoning_start_str": "<think>",
        "reasoning_end_str": "</think>",
    }
    assert env == {"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}


def test_command_for_a_gpu_and_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command, env = serve.build_command(
        "org/some-model", device="gpu", reasoning_parser="qwen3", extra=["--dtype", "bfloat16"], environ={}
    )
    given = options(command)
    assert given["--model"] == given["--served-model-name"] == "org/some-model"
    assert given["--reasoning-parser"] == "qwen3"
    assert command[-2:] == ["--dtype", "bfloat16"], "what the caller adds comes last and wins"
    assert not {"--reasoning-config", "--enforce-eager", "--max-model-len"} & set(given)
    assert env == {"VLLM_NO_USAGE_STATS": "1"}


def test_the_environment_is_not_overruled(folder: Path) -> None:
    _, env = serve.build_command(str(folder), device="cpu", environ={"VLLM_CPU_KVCACHE_SPACE": "8"})
    assert "VLLM_CPU_KVCACHE_SPACE" not in env


def test_bundled_model_has_its_name() -> None:
    assert serve.served_name("bundled") == "inftythink-bundled"


@pytest.mark.parametrize(
    ("missing", "message"), [("config.json", "no config.json"), ("model.safetensors", "no weights")]
)
def test_folder_without_a_model(folder: Path, missing: str, message: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=message):
        serve.build_command(str(folder))


@pytest.mark.parametrize("model", ["/no/such/folder", "./nowhere", "..", "a/b/c", ""])
def test_neither_folder_nor_name(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        serve.build_command(model)


def test_bad_arguments(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="allowed: 'auto', 'cpu', 'gpu'"):
        serve.build_command(str(folder), device="tpu")
    with pytest.raises(InvalidInputError, match="1 to 65535"):
        serve.build_command(str(folder), port=0)


def test_vllm_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_serve_command.util, "find_spec", lambda name: None)
    with pytest.raises(InftyThinkError, match=r"inftythink-graph\[vllm\]"):
        serve.build_command(str(folder))


# The process


@pytest.fixture
def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Runs the given code in vLLM's place; its arguments are host and port."""
    code = [HEALTHY]

    def build(model: str, *, host: str, port: int, **rest: object) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-c", code[0], host, str(port)], {"STARTED_BY_TEST": "1"}

    monkeypatch.setattr(serve, "build_command", build)
    return code


def test_running_server_ends_with_its_block(stand_in: list[str], folder: Path, tmp_path: Path) -> None:
    with serve.running_server(str(folder), log=tmp_path / "logs" / "x.log") as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.base_url.endswith("/v1")
        assert server.model == "tiny"
        assert os.getpgid(server.pid) == server.pid
    with pytest.raises(ProcessLookupError):
        os.killpg(server.pid, 0)


def test_a_server_has_a_group_of_its_own_in_our_session() -> None:
    """Its own group, which Ctrl-C doesn't reach; our session, with which Linux shares the processors fairly."""
    with _serve_process.child([sys.executable, "-c", "import time; time.sleep(600)"], {}, None) as process:
        assert os.getpgid(process.pid) == process.pid
        assert os.getsid(process.pid) == os.getsid(0)


def test_server_that_fails_says_why(stand_in: list[str], folder: Path, tmp_path: Path) -> None:
    stand_in[0] = BROKEN
    with (
        pytest.raises(ServerUnavailableError, match=r"status 1 .*x\.log; it says: ValueError: no such layer"),
        serve.running_server(str(folder), log=tmp_path / "x.log"),
    ):
        pytest.fail("never ready")


def test_server_that_never_answers_is_ended(
    stand_in: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in[0] = DEAF
    monkeypatch.setattr(_serve_process, "_GRACE", 0.2)
    with (
        pytest.raises(ServerUnavailableError, match=r"not ready after 1 s; .*loading"),
        serve.running_server(str(folder), log=tmp_path / "x.log", startup_timeout=1),
    ):
        pytest.fail("never ready")


def test_port_in_use(stand_in: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.main([str(folder), "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_main_reports_impossible_wishes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").unlink()
    assert serve.main([str(folder)]) == 2
    assert capsys.readouterr().err.startswith("inftythink serve: ")


def test_main_passes_the_rest_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr(serve, "serve", lambda **given: seen.update(given) or 0)
    assert serve.main([str(folder), "--max-model-len", "512", "--", "--tensor-parallel-size", "2"]) == 0
    assert seen["extra"] == ["--tensor-parallel-size", "2"]
    assert (seen["model"], seen["max_model_len"], seen["host"]) == (str(folder), 512, "127.0.0.1")


def test_foreground_server_prints_how_to_use_it(
    stand_in: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # This stand-in ends by itself once it has said that it is healthy.
    stand_in[0] = HEALTHY.replace("serve_forever()", "handle_request()")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert serve.serve(str(folder), port=port) == 0
    printed = capsys.readouterr().out
    assert f'inftythink solve "..." --base-url http://127.0.0.1:{port}/v1 --model tiny' in printed
    assert "ChatVLLM(" in printed
