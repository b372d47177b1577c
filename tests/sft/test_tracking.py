"""Our figures reach the trackers that a recipe names, by way of the Trainer's own logging."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import write_recipe

from sft.train import main

pytestmark = pytest.mark.integration

RUN: dict[str, Any] = {
    "max_steps": 4,
    "logging_steps": 2,
    "eval_strategy": "steps",
    "eval_steps": 4,
    "synthetic_eval_chains": 8,
    "generation_problems": 1,
    "generation_max_epochs": 24,
}


def test_tensorboard_gets_losses_speed_and_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    assert main(write_recipe(tmp_path / "run.yaml", report_to="tensorboard", **RUN)) == 0
    (events,) = {path.parent for path in tmp_path.rglob("events.out.tfevents.*")}
    found = EventAccumulator(str(events))
    found.Reload()
    scalars = set(found.Tags()["scalars"])
    wanted = {"loss", "num_tokens", "tokens_per_second", "padding_share"}
    assert scalars >= {f"train/{name}" for name in wanted}
    assert scalars >= {"eval/loss", "eval/rows_right", "eval/first_loss", "eval/generation_accuracy"}
    assert [event.step for event in found.Scalars("train/tokens_per_second")] == [2, 4]
    assert found.Scalars("train/num_tokens")[-1].value > found.Scalars("train/num_tokens")[0].value
    assert [event.step for event in found.Scalars("eval/generation_accuracy")] == [4]


def test_trackio_gets_the_same_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # trackio reads it once, when it is imported
    words = write_recipe(tmp_path / "run.yaml", report_to="trackio", project="sft", **RUN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-m", "sft.train", *words], env=environment, check=True, timeout=300)
    with sqlite3.connect(tmp_path / "trackio" / "sft.db") as base:
        logged = [json.loads(row[0]) for row in base.execute("select metrics from metrics order by id")]
    names = {name for entry in logged for name in entry}
    assert names >= {"train/loss", "train/tokens_per_second", "train/padding_share", "eval/generation_accuracy"}
