"""What a run will take on disk."""

from __future__ import annotations

import pytest

from sft.preflight import footprint
from sft.recipe import read_recipe
from sft.shapes import ModelShape

SHAPE = ModelShape(1000, 10, 10, False, 1000, 1, hidden=1, vocab=1, queries=1, keys=1, inner=1, window=None)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--save_total_limit", "2"], 3),
        (["--save_steps", "100", "--max_steps", "450"], 5),
        (["--save_steps", "0.1"], 10),
        (["--save_strategy", "epoch", "--num_train_epochs", "4"], 4),
        (["--save_strategy", "epoch", "--num_train_epochs", "4", "--save_total_limit", "1"], 2),
        (["--save_steps", "100"], 2),  # how many steps there are isn't known before the rows are
        (["--save_strategy", "no"], 0),
    ],
)
def test_all_checkpoints_that_will_lie_there_are_counted(words: list[str], kept: int) -> None:
    _, _, config = read_recipe(["--use_cpu", "true", "--bf16", "false", *words])
    found = footprint(SHAPE, "float32", config)
    assert found.total == kept * 3 * 4000 + 4000
    config.save_only_model = True
    assert footprint(SHAPE, "bfloat16", config).total == (kept + 1) * 2000
