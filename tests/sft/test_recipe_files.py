"""Recipes that extend one another, and what the recipes of the papers say."""

from __future__ import annotations

from pathlib import Path

import pytest

from inftythink_graph.errors import InvalidInputError
from sft.arguments import DataArguments, ModelArguments
from sft.recipe import read_recipe
from sft.recipe_file import read_recipe_file
from sft.shapes import PUBLIC

RECIPES = Path(__file__).parents[2] / "sft" / "recipes"
PUBLISHED = ("paper", "plus", "lora")  # those whose bases anyone can download
SHIPPED = sorted(path for name in PUBLISHED for path in (RECIPES / name).glob("*.yaml") if path.stem != "base")
PAPER_BASES = {
    "Qwen/Qwen2.5-Math-1.5B",
    "Qwen/Qwen2.5-Math-7B",
    "Qwen/Qwen2.5-14B",
    "Qwen/Qwen2.5-32B",
    "meta-llama/Llama-3.1-8B",
}


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def _read(path: Path) -> tuple[DataArguments, ModelArguments, object]:
    return read_recipe(["--config", str(path), "--use_cpu", "true"])


def test_the_nearest_recipe_counts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    _write(tmp_path, base="eta: 10\nsummary_budget: 5\nmax_steps: 1\n", middle="extends: base.yaml\neta: 20\n")
    _write(tmp_path / "sub", leaf="extends: ../middle.yaml\nmax_steps: 3\n")
    leaf = tmp_path / "sub" / "leaf.yaml"
    assert read_recipe_file(leaf) == {"eta": 20, "summary_budget": 5, "max_steps": 3}
    data, _, config = read_recipe(["--config", str(leaf), "--use_cpu", "true", "--eta", "30"])
    assert (data.eta, data.summary_budget, config.max_steps) == (30, 5, 3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"leaf": "extends: leaf.yaml\n"}, "extends itself"),
        ({"leaf": "extends: a.yaml\n", "a": "extends: leaf.yaml\n"}, r"extends itself: .*leaf.yaml -> .*a.yaml -> "),
        ({"leaf": "extends: nowhere.yaml\n"}, "extends nowhere.yaml, but there is no"),
        ({"leaf": "extends: [a, b]\n"}, "must be the path of a recipe"),
        (
            {"leaf": "extends: a.yaml\n", "a": "etaa: 3\n"},
            r"unknown key 'etaa' in recipe .*a\.yaml: did you mean 'eta'",
        ),
    ],
)
def test_what_can_not_be_extended_is_an_error(tmp_path: Path, files: dict[str, str], message: str) -> None:
    _write(tmp_path, **files)
    with pytest.raises(InvalidInputError, match=message):
        _read(tmp_path / "leaf.yaml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_is_read_strictly_and_fits_its_model(path: Path) -> None:
    from sft.checks import check_recipe
    from sft.shapes import public_config
    from sft.window import own_window, window_changes

    data, model, config = _read(path)
    assert model.model_name_or_path in PUBLIC
    base = public_config(model.model_name_or_path)
    window = window_changes(base, model).get("max_position_embeddings") or own_window(base)
    model.attn_implementation = "sdpa"  # flash attention isn't installed where tests run
    check_recipe(data, model, config, window)
    assert data.method == ("vanilla" if "-vanilla" in path.stem else "inftythink")
    assert data.dataset.split("/")[1] == ("vanilla" if data.method == "vanilla" else "data")
    assert config.bf16
    assert not config.trust_remote_code
    assert str(config.output_dir).startswith("runs/")


def test_every_recipe_has_its_own_output_folder() -> None:
    folders = [str(_read(path)[2].output_dir) for path in SHIPPED]
    assert len(folders) == len(set(folders))


def test_a_base_without_a_chat_template_is_given_one() -> None:
    for path in SHIPPED:
        _, model, _ = _read(path)
        without = model.model_name_or_path == "meta-llama/Llama-3.1-8B"
        assert model.chat_template == ("inftythink" if without else "keep"), path


@pytest.mark.parametrize("method", ["inftythink", "vanilla"])
def test_the_paper_s_five_bases_are_trained_with_the_paper_s_settings(method: str) -> None:
    recipes = [_read(path) for path in SHIPPED if path.parent.name == "paper" and not path.stem.endswith("-rope")]
    chosen = [each for each in recipes if each[0].method == method]
    assert {model.model_name_or_path for _, model, _ in chosen} == PAPER_BASES
    for data, model, config in chosen:
        assert data.eta == 4096
        assert (config.packing, config.packing_strategy, config.max_length) == (True, "bfd", 16384)
        assert data.global_batch_size == 32
        assert (config.warmup_steps, config.lr_scheduler_type) == (0.03, "cosine")
        assert config.completion_only_loss
        assert not model.use_peft


def test_the_rope_scaled_baseline_reaches_32k_linearly() -> None:
    from sft.shapes import public_config
    from sft.window import window_changes

    found = [path for path in SHIPPED if path.stem.endswith("-rope")]
    assert len(found) == 2
    for path in found:
        data, model, _ = _read(path)
        changes = window_changes(public_config(model.model_name_or_path), model)
        assert data.method == "vanilla"
        assert changes["max_position_embeddings"] == 32768
        assert changes["rope_parameters"] == {"rope_type": "linear", "factor": 8.0, "rope_theta": 10_000.0}


def test_the_later_paper_s_cold_start_has_its_released_settings() -> None:
    found = [_read(path) for path in SHIPPED if path.parent.name == "plus"]
    assert {model.model_name_or_path.partition("/")[2] for _, model, _ in found} == {
        "DeepSeek-R1-Distill-Qwen-1.5B",
        "Qwen3-4B-Base",
    }
    for data, _, config in found:
        assert (data.eta, data.summary_budget, data.global_batch_size) == (6144, 1024, 8)
        assert (config.max_length, config.learning_rate, config.num_train_epochs) == (32768, 2e-5, 3)
        assert (config.warmup_steps, config.lr_scheduler_type) == (0.03, "cosine")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_base_without_a_chat_template_gets_the_faithful_one(path: Path) -> None:
    _, model, _ = _read(path)
    wanted = "inftythink" if "Llama-3.1-8B" in model.model_name_or_path else "keep"
    assert model.chat_template == wanted
