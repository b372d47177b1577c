"""Ctrl-C as a terminal sends it, to ``inftythink build-data`` and all its processes at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inftythink_graph.models import bundled_path

EXAMPLES = 60
PATIENCE = 300.0  # seconds


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    chain = "\n\n".join(f"Step {i}: add {i} to 7, which makes {i + 7}." for i in range(12))
    rows = [{"question": f"Q{n}?", "response": f"<think>{chain}</think>So {n}."} for n in range(EXAMPLES)]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["build-data", str(source), "--output", str(tmp_path / "out"), "--tokenizer", str(bundled_path())]
    words += ["--eta", "96", "--summary-budget", "48", "--max-length", "500", "--processes", "2"]
    return [sys.executable, "-m", "inftythink_graph.cli", *words]


def _in_group(group: int) -> set[int]:
    """The processes of a group that still run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, number = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):  # it just ended
            continue
        if int(number) == group and state != "Z":
            found.add(int(folder.name))
    return found


def test_ctrl_c_ends_a_build_with_processes_in_one_line_and_it_goes_on(tmp_path: Path, command: list[str]) -> None:
    journal = tmp_path / "out" / "journal" / "examples.jsonl"
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0, stdin=subprocess.DEVNULL
    )
    end = time.monotonic() + PATIENCE
    while child.poll() is None and not (journal.exists() and journal.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(_in_group(child.pid)) > 3, "the build, the server that forks, two that cut"
    os.killpg(child.pid, signal.SIGINT)
    shown, said = child.communicate(timeout=PATIENCE)
    assert child.returncode == 1, said
    assert shown == ""
    *progress, last = said.splitlines()
    assert last == "inftythink build-data: interrupted; what is finished is kept: run the same command again to go on"
    assert all(line.startswith("rows ") for line in progress), said
    end = time.monotonic() + PATIENCE
    while (left := _in_group(child.pid)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left
    finished = len(journal.read_text().splitlines())
    assert 0 < finished < EXAMPLES
    again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert again.returncode == 0, again.stderr
    assert f"examples {EXAMPLES} ({finished} from before)" in again.stderr
