"""Installing a trained model where the package ships it from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inftythink_graph.models import CARD_FILE, bundled_path
from sft import bundle
from sft.bundle import FILES, install, main

RECIPE = str(Path(__file__).parents[2] / "sft" / "recipes" / "bundled.yaml")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """What a training run leaves: the model, and files of its own."""
    folder = tmp_path / "run" / "final"
    shutil.copytree(bundled_path(), folder)
    (folder / CARD_FILE).unlink()
    (folder / "training_args.bin").write_bytes(b"-")
    return folder


def test_what_loads_the_model_is_installed_with_a_card_of_the_recipe(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "package" / "model"
    assert main(["--config", RECIPE, "--model", str(trained), "--to", str(target)]) == 0
    assert {path.name for path in target.iterdir()} == {*FILES, CARD_FILE}
    assert (target / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    shipped = json.loads((bundled_path() / CARD_FILE).read_text())
    assert json.loads((target / CARD_FILE).read_text()) == shipped


def test_a_finished_run_is_installed_and_not_trained_again(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "train_main", lambda _: pytest.fail("it was trained again"))
    run, target = trained.parent, tmp_path / "model"
    (trained / "README.md").write_text("A model.\n")
    assert main(["--config", RECIPE, "--output-dir", str(run), "--to", str(target)]) == 0
    assert (target / "config.json").is_file()


def test_a_run_that_was_killed_while_its_model_was_saved_is_finished_first(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(bundle, "train_main", lambda words: asked.append(words) or 3)
    assert main(["--config", RECIPE, "--output-dir", str(trained.parent), "--to", str(tmp_path / "model")]) == 3
    assert asked[0][-1] == "--resume"


def test_an_unfinished_or_a_large_model_is_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle, "_LIMIT", 1000)
    with pytest.raises(ValueError, match="may have 1,000"):
        install(trained, tmp_path / "model")
    (trained / "config.json").unlink()
    words = ["--config", RECIPE, "--model", str(trained), "--to", str(tmp_path / "model")]
    assert main(words) == 2
    assert "lacks config.json" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
