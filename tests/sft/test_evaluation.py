"""Evaluation during training: exact over the rows, whatever the batches and however the training rows are packed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import RECIPE

from sft.arguments import DataArguments
from sft.build import build_trainer
from sft.final import model_card
from sft.model import load_model
from sft.prepared import Prepared, Sources, prepare
from sft.recipe import read_recipe
from sft.row_kinds import KINDS
from sft.trainer import sums_to_metrics

pytestmark = pytest.mark.integration

EVALUATION: dict[str, Any] = {"synthetic_eval_chains": 4, "eval_strategy": "steps", "eval_steps": 2}


def _trainer(folder: Path, **changes: Any) -> tuple[Any, Prepared, DataArguments]:
    options = {**RECIPE, **EVALUATION, "output_dir": folder / "run", **changes}
    words = []
    for key, value in options.items():
        words += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    data, model_args, config = read_recipe(words)
    model, tokenizer = load_model(data, model_args, config)
    rows = prepare(data, Sources.open(data, tokenizer), tokenizer, int(config.max_length))
    trainer = build_trainer(model, tokenizer, rows, data, model_args, config, model_card(data, 192))
    return trainer, rows, data


def _by_hand(model: Any, rows: Any) -> list[tuple[float, int, int, bool, int]]:
    """Loss sum, tokens, right ones, all right, and kind of each row, each row alone."""
    found = []
    model.eval()
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, :-1]
        wanted = labels[1:]
        learned = wanted >= 0
        loss = torch.nn.functional.cross_entropy(logits[learned], wanted[learned], reduction="sum").item()
        right = int((logits.argmax(-1) == wanted)[learned].sum())
        found.append((loss, int(learned.sum()), right, right == int(learned.sum()), row["kind"]))
    return found


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_figures_are_those_of_every_row_alone(tmp_path: Path, packing: bool, batch: int) -> None:
    trainer, rows, _ = _trainer(tmp_path, packing=packing, per_device_eval_batch_size=batch)
    model = trainer.model
    alone = _by_hand(model, rows.held_out)
    model.train()
    metrics = trainer.evaluate()
    tokens = sum(row[1] for row in alone)
    assert metrics["eval_loss"] == pytest.approx(sum(row[0] for row in alone) / tokens, abs=1e-4)
    assert metrics["eval_token_accuracy"] == pytest.approx(sum(row[2] for row in alone) / tokens)
    assert metrics["eval_rows_right"] == pytest.approx(sum(row[3] for row in alone) / len(alone))
    for index, name in enumerate(KINDS):
        kind = [row for row in alone if row[4] == index]
        assert (f"eval_{name}_loss" in metrics) == bool(kind)
        if kind:
            loss = sum(row[0] for row in kind) / sum(row[1] for row in kind)
            assert metrics[f"eval_{name}_loss"] == pytest.approx(loss, abs=1e-4)


def test_a_row_is_right_only_if_all_of_its_tokens_are() -> None:
    figures = [(1.0, 4, 4, 1), (3.0, 4, 3, 0), (2.0, 8, 8, 1)]
    metrics = sums_to_metrics(figures, [0, 0, 2], "eval")
    assert metrics["eval_loss"] == pytest.approx(6 / 16)
    assert metrics["eval_rows_right"] == pytest.approx(2 / 3)
    assert metrics["eval_first_rows_right"] == 0.5
    assert metrics["eval_last_token_accuracy"] == 1.0
    assert "eval_middle_loss" not in metrics


def test_an_evaluation_leaves_random_states_as_they_were(tmp_path: Path) -> None:
    trainer, _, _ = _trainer(tmp_path)

    def states() -> list[Any]:
        return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]

    before = states()
    trainer.evaluate()
    assert states() == before


def test_speed_and_padding_are_logged(tmp_path: Path) -> None:
    trainer, _, _ = _trainer(tmp_path, max_steps=2, per_device_train_batch_size=4)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(logs) == 2
    batches = list(trainer.get_train_dataloader())
    shares = [1 - (batch["attention_mask"].sum() / batch["attention_mask"].numel()).item() for batch in batches]
    for entry in logs:
        assert entry["tokens_per_second"] > 0
        assert min(shares) - 1e-3 <= entry["padding_share"] <= max(shares) + 1e-3
    assert any(entry["padding_share"] > 0 for entry in logs)
    packed, _, _ = _trainer(tmp_path, max_steps=1, packing=True, per_device_train_batch_size=1)
    packed.train()
    assert packed.state.log_history[0]["padding_share"] == 0
