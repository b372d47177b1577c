"""`inftythink run`: from a file into a file, with a line about how it stands, metrics, and one line for bad input."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from counting_server import CountingServer, Trouble, counting, served
from rich.console import Console

from inftythink_graph import Protocol
from inftythink_graph.cli import main
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.runner import RunProgress, arun_many
from inftythink_graph.runner.prometheus import Metrics

OPTIONS: dict[str, Any] = {"protocol": Protocol(), "eta": 100, "summary_budget": 50}
WORDS = ["--protocol", "native", "--eta", "100", "--summary-budget", "50", "--api-key", "none"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": n, "question": counting(2 + n % 3)}) + "\n" for n in range(12)))
    return path


def test_a_file_of_questions_becomes_a_file_of_answers(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = source.with_name("out.jsonl")
    with served() as first, served() as second:
        words = ["run", str(source), str(output), "--base-url", first.url, second.url, "--concurrency", "4", *WORDS]
        assert main([*words, "--traces"]) == 0
    found = {each["id"]: each for each in map(json.loads, output.read_text().splitlines())}
    assert sorted(found) == list(range(12))
    assert all(each["answer"] == str(2 + number % 3) for number, each in found.items())
    assert all(len(each["trace"]) == each["epochs"] for each in found.values())
    shown = capsys.readouterr().err
    assert "questions  12: 12 answered" in shown
    assert "requests   36" in shown
    assert re.search(r"servers    \S+:\d+/v1 \d+, \S+:\d+/v1 \d+", shown)


def test_the_collector_is_spared_what_was_loaded_before_the_run(source: Path) -> None:
    spared: list[int] = []

    def look(number: int, body: dict[str, Any]) -> None:
        spared.append(gc.get_freeze_count())

    with served(trouble=look) as server:
        assert main(["run", str(source), str(source.with_name("out.jsonl")), "--base-url", server.url, *WORDS]) == 0
    assert min(spared) > 10_000
    assert gc.get_freeze_count() < 10_000, "whoever called the command gets the collector back"


def test_questions_that_fail_make_the_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('""\n' + json.dumps(counting(2)) + "\n")
    with served() as server:
        words = ["run", str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), "--base-url", server.url, *WORDS]
        assert main(words) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.jsonl", "out.jsonl"], "there is no file missing.jsonl"),
        (["in.jsonl", "out.jsonl", "--concurrency", "0"], "concurrency must be at least 1, got 0"),
        (["in.jsonl", "out.jsonl", "--give-up-after", "-1"], "give_up_after must be above 0 seconds or None"),
        (["in.jsonl", "out.jsonl", "--metrics-port", "99999"], "metrics can't be served at 127.0.0.1:99999"),
        (["in.jsonl", "out.jsonl", "--max-epochs", "0"], "max_epochs must be at least 1, got 0"),
    ],
)
def test_one_line_for_bad_input(
    source: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(source.parent)
    with served() as server:
        assert main(["run", *words, "--base-url", server.url, *WORDS]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("inftythink: ")
    assert message in last


def test_a_server_that_isn_t_there(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served() as server:
        url = server.url
    assert main(["run", str(source), str(source.with_name("out.jsonl")), "--base-url", url, *WORDS]) == 2
    assert "no server answers at" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_end_does_so_and_can_go_on(tmp_path: Path, number: int, code: int) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(counting(9)) + "\n" for _ in range(60)))
    with served(delay=0.05) as server:
        words = ["run", str(source), str(output), "--base-url", server.url, "--concurrency", "4", *WORDS]
        process = subprocess.Popen([sys.executable, "-m", "inftythink_graph.cli", *words], stderr=subprocess.PIPE)
        while not (output.exists() and output.stat().st_size):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == code, said
        assert b"Traceback" not in said
        before = output.read_bytes()
        server.delay = 0.0
        assert main(words) == 0
    assert output.read_bytes().startswith(before)
    assert sorted(json.loads(line)["index"] for line in output.read_text().splitlines()) == list(range(60))


async def test_progress_is_a_line_now_and_then(tmp_path: Path) -> None:
    text = io.StringIO()
    progress = RunProgress(Console(file=text, width=200), every=0.0)
    async with CountingServer(lambda number, body: Trouble("status", 500) if number == 3 else None) as server:
        model = ChatVLLM(base_url=server.url, api_key="none")
        await arun_many([counting(3)] * 6, tmp_path / "o", model, concurrency=2, observers=[progress], **OPTIONS)
    lines = text.getvalue().splitlines()
    assert re.match(r"0 of 6, 2 under way", lines[0])
    assert any("1 requests made again" in line for line in lines)
    assert "6 of 6, 0 under way" in lines[-6]
    assert lines[-5:-3] == ["questions  6: 6 answered", "requests   18"]
    assert lines[-1] == "faults     1 x broken; each request was made again"


async def test_metrics_for_prometheus(tmp_path: Path) -> None:
    metrics = Metrics(0)
    address = f"http://127.0.0.1:{metrics.port}/metrics"
    seen: list[str] = []

    def trouble(number: int, body: dict[str, Any]) -> Trouble | None:
        if number == 7:  # another thread serves them, so this is answered while the run waits here
            seen.append(urllib.request.urlopen(address, timeout=10).read().decode())
        return Trouble("status", 429) if number == 2 else None

    async with CountingServer(trouble) as server:
        model = ChatVLLM(base_url=server.url, api_key="none")
        await arun_many([counting(3)] * 6, tmp_path / "o", model, concurrency=2, observers=[metrics], **OPTIONS)
    assert re.search(r"^inftythink_questions_under_way [12]\.0", seen[0], re.MULTILINE)
    assert f'inftythink_server_up{{server="{server.url}"}} 1.0' in seen[0]
    value = metrics.registry.get_sample_value
    assert value("inftythink_questions_total", {"status": "answered"}) == 6
    assert value("inftythink_epochs_total") == 18
    assert value("inftythink_tokens_total", {"kind": "completion"}) == 18 * 7
    assert value("inftythink_faults_total", {"server": server.url, "fault": "overload"}) == 1
    assert value("inftythink_questions_under_way") == 0
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(urllib.request.urlopen, address, timeout=10)


def test_a_port_that_is_taken() -> None:
    first = Metrics(0)
    with pytest.raises(InvalidInputError, match=r"can't be served at 127\.0\.0\.1"):
        Metrics(first.port)
    first.end()


def test_a_log_of_json_lines(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trouble = {4: Trouble("status", 429)}
    with served(trouble=lambda number, body: trouble.get(number)) as server:
        words = ["run", str(source), str(source.with_name("out.jsonl")), "--base-url", server.url, *WORDS]
        assert main([*words, "--log-format", "json"]) == 0
        url = server.url
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(event["time"].endswith("+00:00") for event in events)
    assert (events[0]["event"], events[0]["servers"], events[0]["total"]) == ("begin", [url], 12)
    assert (events[-1]["event"], events[-1]["finished"], events[-1]["under_way"]) == ("end", 12, 0)
    finished = [event for event in events if event["event"] == "finished"]
    assert sorted(event["index"] for event in finished) == sorted(event["id"] for event in finished) == list(range(12))
    assert all(event["completion_tokens"] == 7 * event["epochs"] for event in finished)
    assert [event["fault"] for event in events if event["event"] == "fault"] == ["overload"]
    assert "Count to" not in json.dumps(events)
