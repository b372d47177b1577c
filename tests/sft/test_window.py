"""The window that a checkpoint is trained in, and what the finished folder says of it."""

from __future__ import annotations

import re

import pytest

from inftythink_graph.errors import InvalidInputError
from sft.arguments import ModelArguments
from sft.shapes import public_config
from sft.window import own_window, window_changes

MATH, LLAMA = "Qwen/Qwen2.5-Math-7B", "meta-llama/Llama-3.1-8B"


def _changes(name: str = MATH, **options: object) -> dict[str, object]:
    return window_changes(public_config(name), ModelArguments(model_name_or_path=name, **options))


def test_nothing_changes_unless_the_recipe_says_so() -> None:
    assert _changes() == {}
    assert own_window(public_config(MATH)) == 4096


def test_scaling_follows_from_the_window_to_reach() -> None:
    linear = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0}
    assert _changes(rope_scaling="linear", context=16384) == {
        "rope_parameters": linear,
        "max_position_embeddings": 16384,
    }
    assert _changes(rope_scaling="linear", rope_factor=4)["max_position_embeddings"] == 16384
    yarn = _changes(rope_scaling="yarn", context=8192)["rope_parameters"]
    assert yarn["original_max_position_embeddings"] == 4096


def test_a_base_of_the_positions_can_be_named() -> None:
    changed = _changes(rope_theta=40_000, context=16384)
    assert changed["rope_parameters"] == {"rope_type": "default", "rope_theta": 40_000.0}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (MATH, {"context": 8192}, "context 8,192 is over the window of Qwen/Qwen2.5-Math-7B, 4,096 tokens"),
        (MATH, {"rope_factor": 2}, "rope_factor needs rope_scaling"),
        (MATH, {"rope_scaling": "linear"}, "needs a context above the model's own 4,096"),
        (MATH, {"rope_scaling": "linear", "context": 2048}, "needs a context above"),
        (LLAMA, {"rope_scaling": "linear", "rope_factor": 2}, "has its positions scaled already (llama3)"),
    ],
)
def test_a_window_that_can_not_be_meant_is_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        _changes(name, **options)


def test_rope_options_are_checked_against_their_choices() -> None:
    with pytest.raises(InvalidInputError, match="rope_scaling must be one of none, linear, dynamic, yarn"):
        ModelArguments(rope_scaling="ntk")
