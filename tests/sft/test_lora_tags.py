"""Adapters beside tags as tokens and a new template: trained, evaluated, killed, resumed and merged."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_bases import BASES, small_model, small_tokenizer
from small_runs import history, killed_at, write_recipe
from transformers import AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

from inftythink_graph.protocol import Protocol
from sft.lora import complete_head
from sft.tags import add_tag_tokens, tag_ids
from sft.template_check import probe_rows
from sft.templates import set_template, template_tokens
from sft.train import main

pytestmark = pytest.mark.integration

FIGURES = ("loss", "eval_loss", "eval_generation_epochs", "num_tokens")


def _recipe(folder: Path, name: str, *, tied: bool, bf16: bool) -> list[str]:
    tokenizer = small_tokenizer(BASES["Llama-3.1"])
    small_model(tokenizer, tied=tied).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    rows = [{**row, "uuid": str(number)} for number in range(40) for row in probe_rows(Protocol())]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes: dict[str, Any] = {
        "model_name_or_path": str(folder / "base"),
        "dataset": str(folder / "rows.jsonl"),
        "max_length": 256,
        "packing": True,
        "per_device_train_batch_size": 1,
        "use_peft": True,
        "lora_dropout": 0.1,
        "lora_r": 4,
        "tags": "tokens",
        "chat_template": "inftythink",
        "dtype": "bfloat16" if bf16 else "float32",
        "bf16": bf16,
        "gradient_checkpointing": True,
        "save_strategy": "steps",
        "save_steps": 3,
        "eval_share": 0.2,
        "eval_strategy": "steps",
        "eval_steps": 3,
        "generation_problems": 1,
        "generation_max_epochs": 3,
        "metric_for_best_model": "eval_generation_accuracy",
    }
    return write_recipe(folder / f"{name}.yaml", **changes)


@pytest.mark.parametrize(("tied", "bf16"), [(False, False), (True, True)], ids=["untied", "tied, bf16"])
def test_a_killed_run_goes_on_and_the_tags_rows_are_learned(tmp_path: Path, tied: bool, bf16: bool) -> None:
    assert main(_recipe(tmp_path, "whole", tied=tied, bf16=bf16)) == 0
    words = _recipe(tmp_path, "cut", tied=tied, bf16=bf16)
    assert killed_at(words, "sft.trainer", "RunTrainer", "training_step", 5) == -signal.SIGKILL
    assert main([*words, "--resume"]) == 0
    assert history(tmp_path / "cut", *FIGURES) == history(tmp_path / "whole", *FIGURES)

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    weights, resumed = (load_file(run / "final" / "model.safetensors") for run in (whole, cut))
    assert weights.keys() == resumed.keys()
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    begun = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype="bfloat16" if bf16 else "float32")
    set_template("inftythink", begun, tokenizer)
    add_tag_tokens(begun, tokenizer)
    learned = {*tag_ids(tokenizer).values(), *template_tokens(tokenizer)}
    start = {"model.embed_tokens.weight": begun.get_input_embeddings().weight}
    if not tied:
        start["lm_head.weight"] = begun.get_output_embeddings().weight
    for name, before in start.items():
        moved = (weights[name] != before).any(dim=1)
        assert set(moved.nonzero().flatten().tolist()) == learned, name
    adapter = json.loads((whole / "adapter" / "adapter_config.json").read_text())
    assert set(adapter["trainable_token_indices"]) == {"embed_tokens"} | (set() if tied else {"lm_head"})


def test_an_output_layer_with_a_bias_is_refused() -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import PhiConfig, PhiForCausalLM

    sizes = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config: PretrainedConfig = PhiConfig(**sizes, num_attention_heads=2)
    rows = {"embed_tokens": [3], "lm_head": [3]}
    options = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], trainable_token_indices=rows)
    with pytest.raises(ValueError, match="output layer has a bias"):
        complete_head(get_peft_model(PhiForCausalLM(config), options))


def test_a_head_of_which_nothing_is_trained_stays_as_it_is() -> None:
    head = torch.nn.Linear(2, 2)
    model: Any = SimpleNamespace(get_output_embeddings=lambda: head)
    complete_head(model)
    assert head.bias is not None
