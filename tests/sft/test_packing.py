"""Packing: every sample of a packed row keeps its own positions, and none sees another."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from trl import SFTTrainer

from sft.data import load_rows, tokenized_dataset
from sft.model import load_model
from sft.recipe import read_recipe
from sft.train import main

RECIPE = """
dataset: synthetic
eta: 60
summary_budget: 24
synthetic_chains: 12
synthetic_max_steps: 30
hidden_size: 32
num_layers: 2
num_heads: 2
intermediate_size: 64
max_length: 512
context: 512
packing: true
per_device_train_batch_size: 1
gradient_accumulation_steps: 2
max_steps: 4
learning_rate: 2.0e-3
use_cpu: true
bf16: false
gradient_checkpointing: false
report_to: none
save_strategy: "no"
"""


@pytest.mark.integration
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_row_gives_the_logits_of_its_samples(tmp_path: Path, attention: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    words = ["--config", str(recipe), "--output_dir", str(tmp_path / "run")]
    data, model_args, config = read_recipe(words)
    model, tokenizer = load_model(data, model_args, config)
    model.set_attn_implementation(attention)

    def count(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts))["input_ids"]]

    rows, _ = tokenized_dataset(load_rows(data, count), tokenizer, 512)
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    batch = next(iter(trainer.get_train_dataloader()))
    assert "attention_mask" not in batch  # with one, the samples would see each other
    positions = batch["position_ids"][0]
    starts = [*(positions == 0).nonzero().flatten().tolist(), len(positions)]
    assert len(starts) > 3
    model.eval()
    with torch.no_grad():
        packed = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[0]
        for start, stop in pairwise(starts):
            assert positions[start:stop].tolist() == list(range(stop - start))
            alone = model(input_ids=batch["input_ids"][:, start:stop], use_cache=False).logits[0]
            assert torch.allclose(packed[start:stop], alone, atol=1e-4)
    # Whole rows only: what was packed is what was tokenized, and the loss falls on completions.
    known = {tuple(ids) for ids in rows["input_ids"]}
    ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    for start, stop in pairwise(starts):
        assert tuple(ids[start:stop]) in known
        assert labels[start] == -100


@pytest.mark.integration
def test_a_packed_run_trains_and_saves(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    assert main(["--config", str(recipe), "--output_dir", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "final" / "model.safetensors").is_file()
