"""Packing: a packed row is its samples, each alone. Logits, losses and gradients, with TRL's own collator and loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenized_rows import tokenized
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from sft.data import load_rows
from sft.model import load_model
from sft.recipe import read_recipe
from sft.train import main
from sft.trl_guards import check_prepared

pytestmark = pytest.mark.integration

RECIPE = """
dataset: synthetic
eta: 60
summary_budget: 24
synthetic_chains: 6
synthetic_max_steps: 30
synthetic_rescue_share: 0.5
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
ATTENTION = pytest.mark.parametrize("attention", ["sdpa", "eager"], indirect=True)
Batch = dict[str, Any]


class Trained:
    """A trainer on packed rows, one of its batches, and the samples in it."""

    def __init__(self, folder: Path, attention: str) -> None:
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE)
        data, model_args, config = read_recipe(["--config", str(recipe), "--output_dir", str(folder / "run")])
        self.model, self.tokenizer = load_model(data, model_args, config)
        self.model.set_attn_implementation(attention)

        def count(texts: Sequence[str]) -> list[int]:
            return [len(ids) for ids in self.tokenizer(list(texts))["input_ids"]]

        self.rows, self.funnel = tokenized(load_rows(data, count), self.tokenizer, 512)
        self.trainer = SFTTrainer(
            model=self.model, args=config, train_dataset=self.rows, processing_class=self.tokenizer
        )
        self.packed: Batch = next(iter(self.trainer.get_train_dataloader()))
        positions = self.packed["position_ids"][0]
        starts = [*(positions == 0).nonzero().flatten().tolist(), len(positions)]
        self.spans = list(pairwise(starts))
        self.collate = DataCollatorForLanguageModeling(pad_token_id=self.tokenizer.pad_token_id)

    def samples(self) -> list[dict[str, list[int]]]:
        ids, labels = self.packed["input_ids"][0].tolist(), self.packed["labels"][0].tolist()
        return [{"input_ids": ids[start:stop], "labels": labels[start:stop]} for start, stop in self.spans]

    def logits(self, **inputs: Any) -> torch.Tensor:
        with torch.no_grad():
            return self.model.eval()(**inputs, use_cache=False).logits[0]

    def loss(self, batch: Batch) -> torch.Tensor:
        """TRL's own, as in a training step."""
        return self.trainer.compute_loss(self.trainer.model.train(), dict(batch))


@pytest.fixture(scope="module")
def attention(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("packing"), request.param)


def _learned(batch: Batch) -> int:
    """Tokens that a batch's loss falls on."""
    return int((batch["labels"][:, 1:] >= 0).sum())


@ATTENTION
def test_a_packed_row_gives_the_logits_of_its_samples(attention: Trained) -> None:
    packed = attention.packed
    assert "attention_mask" not in packed  # with one, the samples would see each other
    assert len(attention.spans) >= 3
    logits = attention.logits(input_ids=packed["input_ids"], position_ids=packed["position_ids"])
    known = {tuple(ids): labels for ids, labels in zip(*attention.rows[:].values(), strict=True)}
    for (start, stop), sample in zip(attention.spans, attention.samples(), strict=True):
        assert packed["position_ids"][0, start:stop].tolist() == list(range(stop - start))
        alone = attention.logits(input_ids=packed["input_ids"][:, start:stop])
        assert torch.allclose(logits[start:stop], alone, atol=1e-4)
        # Whole rows only: what was packed is what was tokenized, and the loss falls on completions.
        assert known[tuple(sample["input_ids"])] == sample["labels"]
        assert sample["labels"][0] == -100


@ATTENTION
def test_a_packed_row_has_the_loss_of_its_samples_by_their_tokens(attention: Trained) -> None:
    samples = attention.samples()
    alone = [attention.collate([sample]) for sample in samples]
    sums = sum(attention.loss(batch).item() * _learned(batch) for batch in alone)
    total = sum(map(_learned, alone))
    assert total == _learned(attention.packed)
    assert attention.loss(attention.packed).item() == pytest.approx(sums / total, abs=1e-4)


@ATTENTION
def test_a_padded_batch_has_the_loss_of_its_rows_by_their_tokens(attention: Trained) -> None:
    ordered = sorted(attention.rows, key=lambda row: len(row["input_ids"]))
    rows = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    padded = attention.collate(rows)
    assert padded["attention_mask"].min() == 0
    alone = [attention.collate([row]) for row in rows]
    sums = sum(attention.loss(batch).item() * _learned(batch) for batch in alone)
    assert attention.loss(padded).item() == pytest.approx(sums / sum(map(_learned, alone)), abs=1e-4)


@ATTENTION
def test_the_loss_falls_on_completion_and_end_alone(attention: Trained) -> None:
    tokenizer = attention.tokenizer
    for sample in attention.samples():
        learned = [label for label in sample["labels"] if label != -100]
        prompt, mark, completion = tokenizer.decode(sample["input_ids"]).partition("<|im_start|>assistant\n")
        assert mark
        assert prompt.startswith("<|im_start|>user\n")
        if not completion.endswith(tokenizer.decode(learned)) or len(tokenizer.decode(learned)) < len(completion):
            completion = completion.rpartition("<summary>\n")[2]  # a rescue: its segment is part of the prompt
        assert tokenizer.decode(learned) == completion
        assert learned[-1] == tokenizer.eos_token_id


@ATTENTION
def test_a_packed_row_has_the_gradients_of_its_samples(attention: Trained) -> None:
    def gradients(batches: Sequence[Batch]) -> dict[str, torch.Tensor]:
        attention.model.zero_grad()
        for batch in batches:
            (attention.loss(batch) * _learned(batch)).backward()
        return {name: weight.grad.clone() for name, weight in attention.model.named_parameters()}

    packed = gradients([attention.packed])
    alone = gradients([attention.collate([sample]) for sample in attention.samples()])
    for name, gradient in packed.items():
        assert float(gradient.abs().max()) > 0
        torch.testing.assert_close(gradient, alone[name], rtol=1e-3, atol=1e-4)


@ATTENTION
def test_no_sample_of_a_packed_row_sees_another(attention: Trained) -> None:
    packed = attention.packed
    (_, first_end), *_ = attention.spans
    changed = packed["input_ids"].clone()
    changed[0, :first_end] = (changed[0, :first_end] + 7) % len(attention.tokenizer)
    before, after = (
        attention.logits(input_ids=ids, position_ids=packed["position_ids"]) for ids in (packed["input_ids"], changed)
    )
    assert not torch.allclose(before[:first_end], after[:first_end], atol=1e-2)
    assert torch.equal(before[first_end:], after[first_end:])


@ATTENTION
def test_trl_s_preparation_keeps_every_token_or_the_run_is_refused(attention: Trained) -> None:
    check_prepared(attention.trainer.train_dataset, attention.funnel)
    cut = attention.rows.map(lambda row: {key: values[:-1] for key, values in row.items()})
    with pytest.raises(ValueError, match=r"TRL's preparation left [\d,]+ tokens of [\d,]+: rows were cut"):
        check_prepared(cut, attention.funnel)


def test_a_packed_run_trains_and_saves(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    assert main(["--config", str(recipe), "--output_dir", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "final" / "model.safetensors").is_file()
