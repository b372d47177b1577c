"""LoRA end to end: adapters on a checkpoint, and a finished folder that is an ordinary model."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import write_recipe
from transformers import AutoModelForCausalLM, AutoTokenizer

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.protocol import TAGS
from sft.lora import ADAPTER, merged
from sft.prepare import main as prepare
from sft.train import main

pytestmark = pytest.mark.integration

RUN: dict[str, Any] = {"max_steps": 4, "gradient_checkpointing": True, "save_strategy": "steps", "save_steps": 2}


def _train(folder: Path, name: str, *words: str) -> Path:
    assert main([*write_recipe(folder / f"{name}.yaml", **RUN), *words]) == 0
    return folder / name


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model from scratch."""
    return _train(tmp_path_factory.mktemp("base"), "base") / "final"


def _logits(model: torch.nn.Module, end: int = 40) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(end - 37, end)[None]).logits


def test_the_finished_folder_is_base_and_adapter_in_one(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    output = _train(tmp_path, "lora", "--model_name_or_path", str(base), "--use_peft", "true", "--lora_r", "4")
    final = output / "final"
    assert not (final / "adapter_config.json").exists()
    whole = _logits(AutoModelForCausalLM.from_pretrained(final))
    before = AutoModelForCausalLM.from_pretrained(base)
    unchanged = _logits(before)
    adapted = _logits(PeftModel.from_pretrained(before, output / ADAPTER))
    assert torch.allclose(whole, adapted, atol=1e-5)
    assert not torch.allclose(whole, unchanged, atol=1e-3)
    again = _logits(merged(AutoModelForCausalLM.from_pretrained(base), output / ADAPTER))
    assert torch.allclose(again, whole, atol=1e-5)
    assert AutoTokenizer.from_pretrained(final).chat_template
    card = json.loads((final / "inftythink.json").read_text())
    assert (card["eta"], card["context"]) == (48, 192)


def test_a_checkpoint_holds_adapters_only_and_a_run_goes_on_from_it(base: Path, tmp_path: Path) -> None:
    words = ["--model_name_or_path", str(base), "--use_peft", "true", "--lora_dropout", "0"]
    output = _train(tmp_path, "lora", *words, "--keep_adapter", "false")
    first = AutoModelForCausalLM.from_pretrained(output / "final")
    assert not (output / ADAPTER).exists()
    last = output / "checkpoint-4"
    assert (last / "adapter_model.safetensors").is_file()
    assert not (last / "model.safetensors").exists()
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    _train(tmp_path, "lora", *words, "--resume")
    assert torch.allclose(_logits(first), _logits(AutoModelForCausalLM.from_pretrained(output / "final")), atol=1e-4)


@pytest.mark.parametrize("adapters", ["true", "false"])
def test_sampling_is_the_recipe_s_from_the_first_checkpoint_on(base: Path, tmp_path: Path, adapters: str) -> None:
    """A base's own settings may be such that transformers refuses to save them."""
    start = tmp_path / "start"
    shutil.copytree(base, start)
    (start / "generation_config.json").write_text(
        '{"do_sample": false, "temperature": 0.3, "repetition_penalty": 1.05}'
    )
    words = ["--model_name_or_path", str(start), "--sampling_temperature", "0.6", "--use_peft", adapters]
    output = _train(tmp_path, "run", *words)
    saved = [output / "final", *([output / "checkpoint-2"] if adapters == "false" else [])]
    for folder in saved:
        settings = json.loads((folder / "generation_config.json").read_text())
        assert (settings["do_sample"], settings["temperature"]) == (True, 0.6)
        assert "repetition_penalty" not in settings


def test_a_wider_window_is_in_the_finished_folder(base: Path, tmp_path: Path) -> None:
    words = ["--model_name_or_path", str(base), "--rope_scaling", "linear", "--context", "384", "--max_steps", "1"]
    final = _train(tmp_path, "wide", *words) / "final"
    config = json.loads((final / "config.json").read_text())
    assert config["max_position_embeddings"] == 384
    assert config["rope_parameters"]["rope_type"] == "linear"
    assert config["rope_parameters"]["factor"] == 2.0
    assert json.loads((final / "inftythink.json").read_text())["context"] == 384


def test_tags_as_tokens_are_learned_by_an_adapter_and_judged_as_they_are_saved(tmp_path: Path) -> None:
    from peft import PeftModel

    base, ready = _train(tmp_path, "base", "--tags", "text") / "final", tmp_path / "ready"
    words = ["--model_name_or_path", str(base), "--tags", "tokens", "--use_peft", "true", "--lora_r", "4"]
    words += ["--eval_strategy", "steps", "--eval_steps", "2", "--synthetic_eval_chains", "4"]
    words += ["--generation_problems", "2", "--generation_max_epochs", "24"]
    output = _train(tmp_path, "lora", *words)
    final = output / "final"

    entries = [json.loads(line) for line in (final / "log.jsonl").read_text().splitlines()]
    judged = [entry for entry in entries if "eval_loss" in entry]
    assert [entry["step"] for entry in judged] == [2, 4]
    assert sum("eval_generation_accuracy" in entry for entry in entries) == 2
    figures = [value for entry in entries for name, value in entry.items() if name.startswith("eval_")]
    assert all(map(math.isfinite, figures))

    assert prepare([str(base), "--to", str(ready), "--tags", "tokens"]) == 0
    model, tokenizer = AutoModelForCausalLM.from_pretrained(final), AutoTokenizer.from_pretrained(final)
    assert all(len(tokenizer(tag, add_special_tokens=False)["input_ids"]) == 1 for tag in TAGS)
    whole = _logits(model, len(tokenizer))
    before = AutoModelForCausalLM.from_pretrained(ready)
    unchanged = _logits(before, len(tokenizer))
    adapted = _logits(PeftModel.from_pretrained(before, output / ADAPTER), len(tokenizer))
    assert torch.allclose(whole, adapted, atol=1e-5)
    assert not torch.allclose(whole, unchanged, atol=1e-3)
    # Once more by the saved model, at a learning rate of 0: the figures are those that were logged last.
    still = ["--model_name_or_path", str(final), "--learning_rate", "0", "--max_steps", "1", *words[8:]]
    again = _train(tmp_path, "again", *still, "--eval_on_start", "true") / "final" / "log.jsonl"
    first = json.loads(again.read_text().splitlines()[0])
    for name in ("eval_loss", "eval_token_accuracy", "eval_rows_right"):
        assert first[name] == pytest.approx(judged[-1][name], abs=1e-4)

    graph = create_inftythink_graph(EmbeddedChatModel(model_path=str(final)), max_epochs=2, on_exhausted="return")
    assert graph.invoke({"question": "Multiply 7 by 9 by repeated addition."})["epochs"] >= 1
