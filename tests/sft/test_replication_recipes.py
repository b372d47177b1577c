"""The recipes of the replication: models of one size, the same problems, the same number of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from sft.train import parse as parse_arguments

FOLDER = Path(__file__).parents[2] / "sft" / "recipes" / "replication"
ETAS = (50, 100, 150)
NAMES = ("vanilla", *(f"eta-{eta}" for eta in ETAS))


def _parsed(name: str):  # type: ignore[no-untyped-def]  # the three parts of a recipe
    return parse_arguments(["--config", str(FOLDER / f"{name}.yaml")])


@pytest.mark.parametrize("name", NAMES)
def test_each_model_sees_as_many_tokens_of_the_same_problems(name: str) -> None:
    data, model, config = _parsed(name)
    first_data, first_model, first = _parsed(NAMES[0])
    assert config.packing
    rows = config.per_device_train_batch_size * config.gradient_accumulation_steps * config.max_steps
    assert rows == first.per_device_train_batch_size * first.gradient_accumulation_steps * first.max_steps
    assert config.max_length == first.max_length == 512
    assert (config.seed, config.learning_rate) == (first.seed, first.learning_rate)
    assert model == first_model
    for key in ("families", "chains", "seed", "min_steps", "max_steps"):
        assert getattr(data, f"synthetic_{key}") == getattr(first_data, f"synthetic_{key}")
    assert data.method == ("vanilla" if name == "vanilla" else "inftythink")
    assert config.output_dir == f"runs/replication/{name}"


def test_segments_have_three_lengths() -> None:
    assert tuple(_parsed(name)[0].eta for name in NAMES[1:]) == ETAS


def test_the_scaled_model_goes_on_from_the_vanilla_one_in_eight_times_its_window() -> None:
    data, model, config = _parsed("vanilla-rope")
    assert (data.method, model.rope_scaling) == ("vanilla", "linear")
    assert model.context == config.max_length == 8 * _parsed("vanilla")[2].max_length
    assert model.model_name_or_path == f"{_parsed('vanilla')[2].output_dir}/final"


def test_yarn_is_the_scaled_model_s_recipe_with_other_positions_and_fewer_steps() -> None:
    linear, yarn = _parsed("vanilla-rope"), _parsed("vanilla-yarn")
    assert yarn[0] == linear[0]
    assert {**vars(yarn[1]), "rope_scaling": "linear"} == vars(linear[1])
    assert yarn[1].rope_scaling == "yarn"
    assert yarn[2].max_steps < linear[2].max_steps
    assert (yarn[2].seed, yarn[2].learning_rate) == (linear[2].seed, linear[2].learning_rate)
