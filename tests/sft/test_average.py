"""The average of two checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from inftythink_graph.models import bundled_path
from sft.average import average, main


def _checkpoint(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(f'{{"name": "{folder.name}"}}')
    return folder


def test_weights_are_mixed_by_share(tmp_path: Path) -> None:
    first = _checkpoint(tmp_path / "a", w=torch.tensor([0.0, 4.0]))
    second = _checkpoint(tmp_path / "b", w=torch.tensor([2.0, 8.0]))
    assert main([str(first), str(second), "--to", str(tmp_path / "c"), "--share", "0.25"]) == 0
    assert load_file(tmp_path / "c" / "model.safetensors")["w"].tolist() == [0.5, 5.0]
    assert '"b"' in (tmp_path / "c" / "config.json").read_text()


def test_a_model_averaged_with_itself_is_the_same_and_loads(tmp_path: Path) -> None:
    average(bundled_path(), bundled_path(), tmp_path / "same")
    before, after = (AutoModelForCausalLM.from_pretrained(path) for path in (bundled_path(), tmp_path / "same"))
    for one, two in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_what_can_not_be_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = _checkpoint(tmp_path / "a", w=torch.zeros(2))
    other = _checkpoint(tmp_path / "b", w=torch.zeros(3))
    for words, message in (
        ([str(first), str(other)], "not of one model"),
        ([str(first), str(tmp_path / "none")], "has no model.safetensors"),
        ([str(first), str(first), "--share", "2"], "between 0 and 1"),
    ):
        assert main([*words, "--to", str(tmp_path / "c")]) == 2
        assert message in capsys.readouterr().err
    assert main([str(first), str(bundled_path()), "--to", str(first)]) == 2
    assert "write to another folder" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
