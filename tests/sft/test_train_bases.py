"""Training a base model from end to end: its template and its tags are what the finished model is used with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_bases import BASES, small_model, small_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from datasets_build.row_tokens import row_length, tokenize_row
from inftythink_graph.models import EmbeddedChatModel
from inftythink_graph.protocol import TAGS, Protocol
from sft.tags import tag_ids
from sft.template_check import probe_rows
from sft.train import main

pytestmark = pytest.mark.integration

SETTINGS = {
    "eta": 9,
    "summary_budget": 9,
    "prompt_reserve": 9,
    "max_length": 256,
    "packing": True,
    "per_device_train_batch_size": 1,
    "max_steps": 2,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
}


def _recipe(folder: Path, name: str, **more: Any) -> list[str]:
    """A recipe that trains a base on small rows of every kind."""
    tokenizer = small_tokenizer(BASES[name])
    small_model(tokenizer).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in probe_rows(Protocol()) * 3))
    recipe = {
        "model_name_or_path": str(folder / "base"),
        "dataset": str(rows),
        "output_dir": str(folder / "run"),
        **SETTINGS,
        **more,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))  # YAML takes it
    return ["--config", str(path)]


def test_a_base_without_a_template_is_trained_with_the_faithful_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_recipe(tmp_path, "Llama-3.1")) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sft.train:")]
    assert "has no chat template; set chat_template: inftythink" in line
    words = _recipe(tmp_path, "Llama-3.1", chat_template="inftythink", tags="tokens", vocab_multiple=16)
    assert main(words) == 0
    final = tmp_path / "run" / "final"
    tokenizer = AutoTokenizer.from_pretrained(final)
    model = AutoModelForCausalLM.from_pretrained(final)
    assert tokenizer.eos_token == "<|eot_id|>"
    ends = model.generation_config.eos_token_id
    assert tokenizer.eos_token_id in (ends if isinstance(ends, list) else [ends])
    assert list(tag_ids(tokenizer)) == list(TAGS)
    assert model.get_input_embeddings().weight.shape[0] % 16 == 0
    row = probe_rows(Protocol())[1]
    asked = tokenizer.decode(tokenize_row(row, tokenizer)["input_ids"])
    assert asked.startswith("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhat is")
    served = EmbeddedChatModel(model_path=str(final))
    assert served.invoke([tuple(row["prompt"][0].values())], max_tokens=3).usage_metadata["output_tokens"] <= 3


def test_rows_too_long_end_a_run_where_the_recipe_refuses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = sorted(row_length(row, small_tokenizer(BASES["Qwen2.5"])) for row in probe_rows(Protocol()))
    words = _recipe(tmp_path, "Qwen2.5", max_length=sizes[-2], rows_too_long="refuse")
    assert main(words) == 2
    assert f"3 of 15 rows exceed max_length = {sizes[-2]} tokens (3 " in capsys.readouterr().err
    assert not (tmp_path / "run" / "final").exists()


def test_a_template_that_opens_the_thought_is_trained_and_used(tmp_path: Path) -> None:
    assert main(_recipe(tmp_path, "DeepSeek-R1-Distill")) == 0
    served = EmbeddedChatModel(model_path=str(tmp_path / "run" / "final"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "final")
    for row in probe_rows(Protocol()):
        item = tokenize_row(row, tokenizer)
        assert served.count_prompt_tokens(row["prompt"]) == item["labels"].count(-100)


@pytest.mark.parametrize("name", ["Qwen2.5-Math", "Llama-3.1", "Qwen3"])
def test_padding_with_the_end_token_leaves_the_end_in_the_loss(name: str) -> None:
    tokenizer = small_tokenizer(BASES[name])
    tokenizer.chat_template = tokenizer.chat_template or BASES["Qwen3"].template
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    rows = probe_rows(Protocol())
    batch = DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)(
        [tokenize_row(row, tokenizer) for row in rows]
    )
    assert (batch["attention_mask"] == 0).any()
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = labels[labels >= 0]
        assert tokenizer.decode(learned) == row["completion"][0]["content"] + tokenizer.eos_token
    assert torch.equal(batch["labels"][batch["attention_mask"] == 0].unique(), torch.tensor([-100]))
