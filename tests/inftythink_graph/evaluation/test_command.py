"""``inftythink eval`` and ``inftythink report``, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inftythink_graph.cli import main
from inftythink_graph.evaluation import read_run

TASK = "gcd:max_steps=6,min_steps=3,count=3"


def test_both_methods_are_measured_reported_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", TASK, "--output", str(tmp_path), "--temperature", "0", "--samples", "1", "--concurrency", "3"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "| inftythink |" in shown.out
    assert "| vanilla |" in shown.out
    assert "index.html" in shown.err
    folders = sorted(path.parent for path in tmp_path.rglob("run.json"))
    runs = [read_run(folder) for folder in folders]
    assert [run.label for run in runs] == ["inftythink", "vanilla"]
    assert all(len(run.trials) == 3 for run in runs)
    assert all("depth_tokens" in question.meta for question in runs[0].questions)
    assert sum(trial["correct"] for trial in runs[0].trials) >= 2
    assert {len(trial["contexts"]) for trial in runs[1].trials} == {1}
    before = [(folder / "trials.jsonl").read_bytes() for folder in folders]
    assert main(words) == 0
    assert "3 from before" in capsys.readouterr().err
    assert [(folder / "trials.jsonl").read_bytes() for folder in folders] == before

    assert main(["report", str(tmp_path), "--to", str(tmp_path / "again"), "--max-trajectories", "1"]) == 0
    report = json.loads((tmp_path / "again" / "report.json").read_text())
    assert len(report["runs"]) == 2
    assert "texts of 1 of 6 trials" in (tmp_path / "again" / "index.html").read_text()


def test_several_values_of_eta_are_runs_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", TASK, "--output", str(tmp_path), "--temperature", "0", "--samples", "1", "--methods", "inftythink"]
    assert main([*words, "--eta", "60", "104", "--max-epochs", "4", "--on-exhausted", "return", "--no-report"]) == 0
    runs = [read_run(path.parent) for path in sorted(tmp_path.rglob("run.json"))]
    assert [run.config["eta"] for run in runs] == [104, 60]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "there is no task and no file 'nothing'"),
        (["gcd:depth=3"], "unknown option 'depth=3'"),
        ([TASK, TASK], "is named twice"),
        ([TASK, "--samples", "0"], "samples must be at least 1"),
        ([TASK, "--temperature", "0"], "the same answer 16 times"),
        ([TASK, "--eta", "400"], "can't hold an epoch"),
        ([TASK, "--methods", "vanilla", "--max-len", "2000"], "more than the model's window; allowed: at most 1024"),
    ],
)
def test_what_cant_be_run_is_said_in_a_line(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *words, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert not list(tmp_path.rglob("run.json"))


def test_a_folder_without_an_evaluation_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "holds no evaluation" in capsys.readouterr().err
