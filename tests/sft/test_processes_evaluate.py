"""Evaluation and the generation check on two processes: the losses and the figures of one, adapters or not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from launched_runs import launch
from small_runs import history

from inftythink_graph.models import bundled_path
from sft.train import main

pytestmark = pytest.mark.integration

RECIPE = f"""
model_name_or_path: {bundled_path()}
dataset: synthetic
eta: 104
summary_budget: 24
sampling_temperature: 0.0
synthetic_families: [product]
synthetic_chains: 24
synthetic_max_steps: 10
synthetic_eval_chains: 5
max_length: 256
eval_strategy: steps
eval_steps: 2
eval_on_start: true
per_device_eval_batch_size: 2
generation_problems: 3
generation_max_epochs: 4
per_device_train_batch_size: 2
global_batch_size: 4
max_steps: 4
learning_rate: 2.0e-2
lr_scheduler_type: cosine
bf16: false
use_cpu: true
gradient_checkpointing: false
logging_steps: 1
save_strategy: "no"
report_to: none
disable_tqdm: true
"""
LORA = ["--use_peft", "true", "--lora_r", "4", "--lora_dropout", "0"]
SPEEDS = ("runtime", "per_second")


def _evaluations(final: Path) -> list[dict[str, Any]]:
    """What was logged of evaluations and generation checks, without times."""
    entries = [json.loads(line) for line in (final / "log.jsonl").read_text().splitlines()]
    figures = [
        {name: value for name, value in entry.items() if name.startswith("eval_") and not name.endswith(SPEEDS)}
        for entry in entries
    ]
    return [each for each in figures if each]


@pytest.mark.parametrize("words", [[], LORA], ids=["whole", "lora"])
def test_two_processes_evaluate_and_generate_as_one(words: list[str], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    shared = ["--config", str(recipe), *words]
    assert main([*shared, "--output_dir", str(tmp_path / "one")]) == 0
    done = launch(tmp_path, ["-m", "sft.train"], *shared, "--output_dir", "two", config="ddp")
    assert done.returncode == 0, done.stderr
    one, two = (tmp_path / name / "final" for name in ("one", "two"))
    expected = [entry["loss"] for entry in history(one, "loss")]
    assert len(expected) == 4
    assert [entry["loss"] for entry in history(two, "loss")] == pytest.approx(expected, abs=1e-4)

    alone, together = _evaluations(one), _evaluations(two)
    assert len(alone) == 6  # at the start, after two steps, and at the end: the figures of the rows, and of problems
    assert [each.keys() for each in together] == [each.keys() for each in alone]
    for ours, theirs in zip(together, alone, strict=True):
        assert all(map(math.isfinite, ours.values()))
        assert ours == pytest.approx(theirs, abs=1e-4)
    solved = [each["eval_generation_accuracy"] for each in alone if "eval_generation_accuracy" in each]
    assert solved[0] == 1  # the bundled model knows these problems
    if not words:
        assert solved[-1] < 1  # four huge steps later it doesn't: the weights of the moment are what is asked
