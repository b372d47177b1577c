"""What listens is reachable from this machine only, or says that it isn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from inftythink_graph import serve
from inftythink_graph._serve_command import open_to_network
from inftythink_graph.exposure import exposure_warning, is_loopback


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.2", False),
        ("example.org", False),
    ],
)
def test_what_loopback_is(host: str, own: bool) -> None:
    assert is_loopback(host) is own
    assert (exposure_warning(host, has_key=False, what="it", remedy="") is None) is own
    assert exposure_warning(host, has_key=True, what="it", remedy="") is None


@pytest.mark.parametrize(
    ("options", "extra", "environ", "warned"),
    [
        ({}, [], {}, False),
        ({"host": "0.0.0.0"}, [], {}, True),
        ({}, ["--host", "0.0.0.0"], {}, True),
        ({}, ["--host=0.0.0.0"], {}, True),
        ({"host": "0.0.0.0"}, ["--host", "127.0.0.1"], {}, False),
        ({"host": "0.0.0.0"}, [], {"VLLM_API_KEY": "k"}, False),
        ({"host": "0.0.0.0"}, [], {"VLLM_API_KEY": ""}, True),
        ({"host": "0.0.0.0"}, ["--api-key", "k"], {}, False),
        ({"host": "0.0.0.0"}, ["--api-key", "k", "l"], {}, False),
    ],
)
def test_a_model_without_a_key_on_a_network_is_warned_of(
    folder: Path, options: dict[str, str], extra: list[str], environ: dict[str, str], warned: bool
) -> None:
    command, env = serve.build_command(str(folder), device="cpu", extra=extra, environ=environ, **options)  # type: ignore[arg-type]
    assert command[command.index("--host") + 1] == options.get("host", "127.0.0.1")
    warning = open_to_network(command, env, environ)
    assert ("without a key" in warning) is warned


@pytest.mark.parametrize("extra", [["--api-key", "sk-x", "--seed", "1"], ["--seed", "1", "--api-key=sk-x"]])
def test_a_key_is_not_in_the_list_of_processes(folder: Path, extra: list[str]) -> None:
    command, env = serve.build_command(str(folder), device="cpu", extra=extra, environ={})
    assert "sk-x" not in " ".join(command)
    assert env["VLLM_API_KEY"] == "sk-x"
    assert command[-2:] == ["--seed", "1"]
