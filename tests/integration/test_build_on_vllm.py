"""``inftythink build-data`` against a real vLLM server on the CPU."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from reciting_model import SENTENCE

from datasets_build.synthetic import generate
from inftythink_graph.cli import main
from inftythink_graph.models import bundled_path
from inftythink_graph.serve import RunningServer

CHAINS = 12


def answered(server: RunningServer) -> int:
    """Requests that the server has answered so far."""
    with urllib.request.urlopen(f"{server.base_url.removesuffix('/v1')}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    return int(sum(float(n) for n in re.findall(r"^vllm:request_success_total(?:{[^}]*})? (\S+)$", text, re.MULTILINE)))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "chains.jsonl"
    with path.open("w") as file:
        for number, item in enumerate(generate("gcd", CHAINS, seed=5, min_steps=40, max_steps=120)):
            text = f"<think>\n{item.chain}\n</think>\n\n{item.conclusion}"
            print(json.dumps({"uuid": f"gcd-{number}", "problem": item.question, "generations": [text]}), file=file)
    return path


def words(source: Path, output: Path, server: RunningServer) -> list[str]:
    sizes = ["--eta", "256", "--summary-budget", "64", "--max-length", "4096"]
    model = ["--tokenizer", str(bundled_path()), "--base-url", server.base_url, "--concurrency", "2"]
    return ["build-data", str(source), *sizes, *model, "--output", str(output)]


def rows(output: Path) -> list[dict[str, Any]]:
    return pq.read_table(output / "data").to_pylist()


def test_every_segment_but_the_last_is_summarized_once_and_the_prefix_is_cached(
    reciting_server: RunningServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = answered(reciting_server)
    assert main(words(source, tmp_path / "out", reciting_server)) == 0
    capsys.readouterr()
    built = rows(tmp_path / "out")
    firsts = [row for row in built if row["epoch"] == 1]
    summaries = sum(row["epochs"] - 1 for row in firsts)
    assert (len(firsts), len(built)) == (CHAINS, sum(row["epochs"] for row in firsts))
    assert answered(reciting_server) - before == summaries
    told = [row["completion"][0]["content"] for row in built if row["epoch"] < row["epochs"]]
    assert all(SENTENCE in text for text in told)
    assert not any(SENTENCE in row["completion"][0]["content"] for row in built if row["epoch"] == row["epochs"])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    paid = report["requests"]
    assert paid["requests"] == summaries
    # Of a chain's requests, each repeats the one before it: all but the first find most of their prompt in the cache.
    assert paid["cached_tokens"] > 0.5 * paid["prompt_tokens"]
    assert report["summarizer"] == reciting_server.model


def test_a_killed_build_goes_on_without_asking_again(
    reciting_server: RunningServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(words(source, whole, reciting_server)) == 0
    requests = len((whole / "journal" / "requests.jsonl").read_text().splitlines())

    before = answered(reciting_server)
    command = [sys.executable, "-m", "inftythink_graph.cli", *words(source, killed, reciting_server)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    journal = killed / "journal" / "requests.jsonl"
    deadline = time.monotonic() + 120
    while not journal.is_file() or len(journal.read_text().splitlines()) < requests // 3:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "funnel.json").exists()
    assert main(words(source, killed, reciting_server)) == 0
    capsys.readouterr()
    assert requests <= answered(reciting_server) - before <= requests + 2, "what was under way may be asked for again"
    for name in ("data", "vanilla"):
        for one, other in zip(sorted((whole / name).iterdir()), sorted((killed / name).iterdir()), strict=True):
            assert one.read_bytes() == other.read_bytes()
    assert (whole / "funnel.json").read_text() == (killed / "funnel.json").read_text()
