"""`inftythink run` on a real vLLM server, one that is killed in the middle among them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph.cli import main
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.runner import run_many
from inftythink_graph.serve import RunningServer, free_port, running_server


def problems(count: int, **bounds: int) -> list[Problem]:
    """So many of each family, mixed."""
    families = [generate(family, count, seed=11, split="test", **bounds) for family in FAMILIES]
    return [problem for group in zip(*families, strict=True) for problem in group]


def results(output: Path) -> dict[int, dict[str, Any]]:
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert len({each["index"] for each in found}) == len(found)
    return {each["index"]: each for each in found}


def test_a_file_of_questions_on_a_server(
    vllm_server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = problems(5, min_steps=10, max_steps=40)
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"question": problem.question}) + "\n" for problem in asked))
    assert main(["run", str(source), str(output), "--base-url", vllm_server.base_url, "--concurrency", "12"]) == 0
    found = results(output)
    assert sorted(found) == list(range(len(asked)))
    right = sum(found[index]["answer"] == problem.answer for index, problem in enumerate(asked))
    assert right >= len(asked) - 2
    said = capsys.readouterr().err
    assert f"questions  {len(asked)}: " in said
    assert "of the prompts cached" in said


@pytest.fixture
def own_port(_servers: Any) -> int:
    """A port for servers of a test's own, while no other server runs."""
    _servers.close()
    return free_port("127.0.0.1")


def test_a_server_that_is_killed_and_started_again(own_port: int, test_model: str, tmp_path: Path) -> None:
    """All questions are finished, and no reply that was kept is asked for again."""
    asked = problems(4, min_steps=30, max_steps=60)
    output, outcome = tmp_path / "out.jsonl", {}
    options: dict[str, Any] = {"device": "cpu", "name": "bundled", "port": own_port, "startup_timeout": 900.0}

    def run() -> None:
        model = ChatVLLM(base_url=f"http://127.0.0.1:{own_port}/v1", timeout=120)
        outcome["tally"] = run_many([problem.question for problem in asked], output, model, concurrency=12)

    client = threading.Thread(target=run)
    with running_server(test_model, log=tmp_path / "first.log", **options) as server:
        client.start()
        replies = output.with_name("out.jsonl.run") / "replies.jsonl"
        deadline = time.monotonic() + 120
        while not replies.exists() or replies.read_bytes().count(b"\n") < 30:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(server.pid, signal.SIGKILL)
    with running_server(test_model, log=tmp_path / "second.log", **options):
        client.join(timeout=300)
        assert not client.is_alive()
    tally, found = outcome["tally"], results(output)
    assert sorted(found) == list(range(len(asked)))
    assert {each["status"] for each in found.values()} <= {"answered", "exhausted", "stalled"}
    right = sum(found[index]["answer"] == problem.answer for index, problem in enumerate(asked))
    assert right >= len(asked) - 2
    assert tally.faults["away"] > 0
    assert tally.requests == sum(each["usage"]["requests"] for each in found.values())
