"""The report as files: complete, the same for the same runs, and honest about what is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from trial_runs import HOSTILE, example_runs, question_set, trial, trial_run

from inftythink_graph.errors import InftyThinkError, InvalidInputError
from inftythink_graph.evaluation.metrics import mean_at_n
from inftythink_graph.evaluation.report import summarize, write_report
from inftythink_graph.evaluation.trials import Run

ROOT = Path(__file__).parents[3]


def runs() -> list[Run]:
    return [*example_runs(number=10, samples=2)[1:3], trial_run("choices", task="gpqa | diamond", samples=1, missing=7)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    pytest.importorskip("matplotlib")
    return write_report(runs(), tmp_path_factory.mktemp("report") / "made" / "on the way")


def test_every_file_is_there_and_named(report: list[Path]) -> None:
    folder = report[0].parent
    assert report[0].name == "report.md"
    assert sorted(report) == sorted(folder.iterdir())
    names = {path.name for path in report}
    assert {"main.csv", "accuracy.csv", "costs.csv", "outcomes.csv", "groups.csv", "curves.csv", "paired.csv"} <= names
    assert {"report.json", "accuracy_cost_long_horizon.png", "accuracy_epochs_gpqa-diamond.svg"} <= names
    assert all(path.stat().st_size > 50 for path in report)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in report if path.suffix == ".png")


def test_the_page_shows_pictures_that_exist_and_says_what_is_missing(report: list[Path]) -> None:
    text = report[0].read_text()
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", text)
    assert {report[0].parent / name for name in pictures} == {path for path in report if path.suffix == ".png"}
    assert "choices on gpqa &#124; diamond lacks 7 of 40 trials" in text
    assert text.count("Incomplete") == 1
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert headings == [
        "Evaluation", "Accuracy", "Cost of one answer", "How trials ended", "Paired comparison", "long_horizon",
        "gpqa &#124; diamond", "Settings",
    ]  # fmt: skip


def test_the_json_holds_the_numbers(report: list[Path]) -> None:
    content = json.loads((report[0].parent / "report.json").read_text())
    for run, found in zip(runs(), content["runs"], strict=True):
        assert found["accuracy"]["value"] == pytest.approx(mean_at_n(run.trials).value)
        assert found["by_tokens"]["accuracies"][-1] == pytest.approx(found["accuracy"]["value"])
        assert found["config"]["method"] == run.config["method"]
        assert found["window"] == 512
    assert [(pair["task"], pair["note"]) for pair in content["paired"]] == [("long_horizon", "")]


def test_the_same_runs_make_the_same_files(report: list[Path], tmp_path: Path) -> None:
    again = write_report(runs(), tmp_path)
    assert [path.name for path in again] == [path.name for path in report]
    assert [
        path.name for path, other in zip(again, report, strict=True) if path.read_bytes() != other.read_bytes()
    ] == []


def test_a_config_may_hold_what_json_does_not_know() -> None:
    run = trial_run(questions=question_set(2), samples=1)
    config = {**run.config, "path": Path("a"), "stop": ("x",), "when": complex(1, 2)}
    found = summarize(replace(run, config=config, label=HOSTILE))
    assert json.loads(json.dumps(found.as_json()))["config"]["path"] == "a"
    assert found.config["stop"] == ["x"]


def test_what_cannot_be_reported_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trial_run(questions=question_set(2), samples=1)
    file = tmp_path / "file"
    file.touch()
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: write_report([], tmp_path), "there are no runs"),
        (lambda: write_report([run], file), "is a file"),
        (lambda: write_report([run, run], tmp_path / "new"), "give them different labels"),
        (lambda: write_report([replace(run, trials=[trial("q"), trial("q")])], tmp_path / "new"), "comes twice"),
    ]
    for call, message in refused:
        with pytest.raises(InvalidInputError, match=message):
            call()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InftyThinkError, match="inftythink-graph\\[evaluation\\]"):
        write_report([run], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_neither_numpy_nor_matplotlib_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, inftythink_graph.evaluation.metrics, inftythink_graph.evaluation.report\n"
        "print([name for name in ('numpy', 'matplotlib', 'torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
