"""The client is killed with SIGKILL a hundred times, at random moments: no finished question is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest
from counting_server import counting, served

from inftythink_graph import Protocol
from inftythink_graph.append_only import JournalWriteError
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.runner import run_many

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

QUESTIONS = [counting(3 + number % 6) for number in range(400)]
KILLS = 100


def _client(url: str, output: Path) -> None:
    model = ChatVLLM(base_url=url, api_key="none")
    run_many(QUESTIONS, output, model, concurrency=8, protocol=Protocol(), eta=100, summary_budget=50)


def _forked(url: str, output: Path) -> int:
    """A client in a process of its own, without importing everything anew."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        _client(url, output)
        code = 0
    finally:
        os._exit(code)


def _indices(output: Path) -> list[int]:
    """Of the results that are written; the last line may be torn."""
    if not output.exists():
        return []
    return [json.loads(line)["index"] for line in output.read_bytes().split(b"\n")[:-1]]


def test_a_client_that_is_killed_a_hundred_times(tmp_path: Path) -> None:
    output, rng = tmp_path / "out.jsonl", random.Random(3)
    with served(delay=0.002) as server:
        kills = 0
        finished: list[int] = []
        for _ in range(10 * KILLS):
            process = _forked(server.url, output)
            time.sleep(rng.uniform(0.01, 0.25))
            if kills >= KILLS:
                break
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            kills += 1
            now = _indices(output)
            assert now[: len(finished)] == finished  # what was finished stays
            finished = now
        _, status = os.waitpid(process, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        asked = len(server.asked)
    assert kills == KILLS
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(each["index"] for each in found) == list(range(len(QUESTIONS)))
    assert all(QUESTIONS[each["index"]] == f"Count to {each['answer']}." for each in found)
    # A kill costs at most the replies that were on their way: one for each question under way.
    epochs = sum(3 + number % 6 for number in range(400))
    assert 0 <= asked - epochs <= 8 * KILLS


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """The run ends with one line that says so; with room again, it goes on, and no line is torn or doubled."""
    output = tmp_path / "out.jsonl"
    with served(delay=0.002) as server:
        before, action = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
            with pytest.raises(JournalWriteError, match="all that was written before is kept: make room"):
                _client(server.url, output)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, action)
        kept = _indices(output)
        _client(server.url, output)
    assert _indices(output)[: len(kept)] == kept
    assert sorted(_indices(output)) == list(range(len(QUESTIONS)))
