"""docs/checkpoints.md: its programs run as they stand there, one after the other, the first one killed on its way."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from postgres import running_postgres

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STORED = 7  # checkpoints after which the program is killed: in its third epoch


def _stored(database: Path) -> int:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return int(connection.execute("select count(*) from checkpoints").fetchone()[0])
    except sqlite3.OperationalError:  # no file yet, or no table in it
        return 0


def _killed(program: Path) -> None:
    with subprocess.Popen([sys.executable, program.name], cwd=program.parent, stdout=subprocess.PIPE) as process:
        try:
            while _stored(program.parent / "runs.sqlite") < STORED:
                assert process.poll() is None
                time.sleep(0.05)
        finally:
            process.kill()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs of the page, in a folder where they may run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *(each for each in sys.path if each)]))
    return BLOCK.findall((ROOT / "docs" / "checkpoints.md").read_text())


def test_the_programs_run(
    page: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "run.py"
    program.write_text(page[0])
    _killed(program)
    assert _stored(tmp_path / "runs.sqlite") >= STORED
    rerun = subprocess.run([sys.executable, program.name], stdout=subprocess.PIPE, text=True, check=True)
    assert re.fullmatch(r"800 after \d+ epochs\n", rerun.stdout)

    session: dict[str, object] = {"__name__": "__page__"}
    with running_postgres() as server:
        monkeypatch.setenv("DATABASE_URL", server.new_database())
        for block in page:
            exec(compile(block, "docs/checkpoints.md", "exec"), session)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == rerun.stdout.strip()  # the killed run was as long as one in one go
    assert said[1] == "300"
    for line, answer in zip(said[2:4], ("300", "800"), strict=True):
        first, epochs, records, requests = line.split()
        assert (first, epochs) == (answer, records)
        assert int(requests) >= int(epochs)
    assert said[4] == "['human', 'ai', 'human', 'ai']"
    assert re.fullmatch(r"800 -> (?!800 )\d+ in epoch \d+", said[6])  # 975, unless the model errs
    assert said[7:9] == ["exhausted", "800"]
    assert "'answer': '300'" in said[9]
    assert said[10:] == ["300 answered", "301"]
