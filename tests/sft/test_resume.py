"""A run that is killed, at whatever moment, and resumed is the run that was never killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from small_runs import history, killed_at, write_recipe

from sft.train import main

pytestmark = pytest.mark.integration

# Dropout, so that the random states count; gradient accumulation; a log every other step, so that checkpoints lie
# between two logs as well; evaluation and generation on the way.
RUN: dict[str, Any] = {
    "packing": True,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 2,
    "max_steps": 12,
    "logging_steps": 2,
    "save_strategy": "steps",
    "save_steps": 3,
    "save_total_limit": 2,
    "eval_strategy": "steps",
    "eval_steps": 4,
    "synthetic_eval_chains": 8,
    "generation_problems": 2,
    "generation_max_epochs": 24,
}
FIGURES = ("loss", "grad_norm", "mean_token_accuracy", "num_tokens", "eval_loss", "eval_generation_epochs")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with dropout."""
    folder = tmp_path_factory.mktemp("base")
    assert main(write_recipe(folder / "base.yaml", max_steps=1)) == 0
    model = folder / "base" / "final"
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.2}))
    return model


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(write_recipe(folder / "run.yaml", model_name_or_path=str(base), **RUN)) == 0
    return folder / "run"


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "final" / "model.safetensors"))


def _assert_same(one: Path, other: Path) -> None:
    expected, found = history(one, *FIGURES), history(other, *FIGURES)
    assert [entry["step"] for entry in found] == [entry["step"] for entry in expected]
    for before, after in zip(expected, found, strict=True):
        assert after == pytest.approx(before, abs=1e-5)
    weights = _weights(other)
    for name, weight in _weights(one).items():
        assert float((weight - weights[name]).abs().max()) < 1e-6, name


@pytest.mark.parametrize(
    ("module", "owner", "function", "call", "before"),
    [
        pytest.param("sft.trainer", "RunTrainer", "training_step", 15, False, id="in the middle of a step"),
        pytest.param("transformers.trainer_callback", "TrainerState", "save_to_json", 2, True, id="while saving"),
        pytest.param("sft.generation_check", "", "solve", 2, True, id="while generating"),
        pytest.param("transformers.trainer", "", "rotate_checkpoints", 3, True, id="before old ones are deleted"),
        pytest.param("sft.final", "", "cast_weights", 1, True, id="while the finished model is saved"),
    ],
)
def test_a_killed_packed_run_with_evaluation_goes_on_as_if_nothing_had_been(
    base: Path, whole: Path, tmp_path: Path, module: str, owner: str, function: str, call: int, before: bool
) -> None:
    words = write_recipe(tmp_path / "run.yaml", model_name_or_path=str(base), save_dtype="float32", **RUN)
    assert killed_at(words, module, owner, function, call, before=before) == -signal.SIGKILL
    assert main([*words, "--resume"]) == 0
    _assert_same(whole, tmp_path / "run")


def test_a_run_with_evaluation_and_generation_is_the_run_without(base: Path, whole: Path, tmp_path: Path) -> None:
    silent = {key: value for key, value in RUN.items() if not key.startswith(("eval_", "synthetic_eval", "generation"))}
    assert main(write_recipe(tmp_path / "run.yaml", model_name_or_path=str(base), **silent)) == 0
    losses = [history(folder, "loss") for folder in (whole, tmp_path / "run")]
    assert losses[0] == losses[1]
    plain = _weights(tmp_path / "run")
    assert all((weight == plain[name]).all() for name, weight in _weights(whole).items())


def test_a_resumed_run_takes_its_rows_from_the_cache_and_refuses_others(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**RUN, "model_name_or_path": str(base), "max_steps": 3, "generation_problems": 0}
    words = write_recipe(tmp_path / "run.yaml", **options)
    assert main(words) == 0
    capsys.readouterr()

    def refused(*more: str) -> str:
        assert main([*words, *more]) == 2
        printed = capsys.readouterr().err.strip().splitlines()[-1]
        assert printed.startswith("sft.train: ")
        return printed

    assert "holds checkpoints of an earlier run (checkpoint-3): go on with it by --resume" in refused()
    changed = refused("--resume", "--learning_rate", "0.5", "--eta", "23", "--logging_steps", "1")
    assert "eta (was 48, is 23), learning_rate (was 0.01, is 0.5)" in changed
    assert "logging_steps" not in changed

    record = tmp_path / "run" / "run.json"
    kept = json.loads(record.read_text())
    record.write_text(json.dumps({**kept, "data_fingerprint": "sha256:other"}))
    assert "data_fingerprint was sha256:other, is sha256:" in refused("--resume")
    record.write_text(json.dumps(kept))

    assert "holds no state of the optimizer (save_only_model)" in refused("--resume", "--save_only_model", "true")

    assert main([*words, "--resume", "--save_total_limit", "1"]) == 0
    assert '"from_cache": true' in capsys.readouterr().out
