"""Estimates: the arithmetic against torch and TRL, and the table in the documentation against the command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sft.arguments import ModelArguments
from sft.estimate import main
from sft.memory import Setup, layer_bytes, memory, operations
from sft.shapes import ModelShape, public_config, shape_of

ROOT = Path(__file__).parents[2]
# As their model cards give them.
PUBLISHED = {
    "Qwen/Qwen2.5-Math-1.5B": 1.54e9,
    "Qwen/Qwen2.5-Math-7B": 7.62e9,
    "Qwen/Qwen2.5-14B": 14.8e9,
    "Qwen/Qwen2.5-32B": 32.8e9,
    "meta-llama/Llama-3.1-8B": 8.03e9,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1.78e9,
    "Qwen/Qwen3-4B-Base": 4.02e9,
}


def _shape(name: str, **options: object) -> ModelShape:
    return shape_of(public_config(name), ModelArguments(model_name_or_path=name, **options))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_public_shapes_have_the_published_numbers_of_parameters(name: str) -> None:
    assert _shape(name).parameters == pytest.approx(PUBLISHED[name], rel=0.005)


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-Math-7B", "meta-llama/Llama-3.1-8B"])
def test_operations_agree_with_trl_s_count(name: str) -> None:
    from trl.trainer.utils import compute_flops_per_token

    # TRL lets every token attend to the whole row, here it attends to half of its sample.
    mine = operations(_shape(name), 2 * 4096, checkpointing=False)
    assert mine == pytest.approx(compute_flops_per_token(public_config(name), 4096), rel=0.01)


def test_adapters_are_counted_as_peft_makes_them() -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, Qwen2Config

    from sft.lora import peft_config

    sizes = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = Qwen2Config(**sizes, num_attention_heads=4, num_key_value_heads=2)
    for options in (
        ModelArguments(use_peft=True, lora_r=4),
        ModelArguments(use_peft=True, lora_r=3, lora_target_modules=["q_proj", "v_proj"]),
        ModelArguments(use_peft=True, lora_r=2, lora_modules_to_save=["embed_tokens"]),
    ):
        model = get_peft_model(AutoModelForCausalLM.from_config(config), peft_config(options))
        assert shape_of(config, options).trained == model.get_nb_trainable_parameters()[0]


def _kept(layers: int, *, inner: int, wide: bool, tokens: int = 200) -> int:
    """Bytes that autograd keeps of a forward pass, copies of weights left out."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=64,
        hidden_size=128,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=2,
    )
    model = Qwen2ForCausalLM(config).to(torch.float32 if wide else torch.bfloat16)
    weights = {tuple(weight.shape) for weight in model.parameters()}
    weights |= {shape[::-1] for shape in weights}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tuple(tensor.shape) not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.randint(0, 64, (1, tokens))
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=wide),
    ):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    assert hidden.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("inner", [256, 768])
def test_what_a_layer_keeps_is_what_torch_keeps(wide: bool, inner: int) -> None:
    measured = (_kept(5, inner=inner, wide=wide) - _kept(2, inner=inner, wide=wide)) / 3 / 200
    shape = ModelShape(0, 0, 0, False, 0, 1, hidden=128, vocab=64, queries=128, keys=32, inner=inner, window=None)
    assert layer_bytes(shape, wide=wide) == pytest.approx(measured, rel=0.05)


def test_sharding_spreads_states_and_adapters_save_them() -> None:
    whole, lora = _shape("Qwen/Qwen2.5-Math-7B"), _shape("Qwen/Qwen2.5-Math-7B", use_peft=True)
    one = memory(whole, Setup(tokens=16384))
    eight = memory(whole, Setup(tokens=16384, processes=8, sharded=True))
    assert one.weights + one.gradients + one.optimizer == 16 * whole.parameters
    assert eight.optimizer == one.optimizer / 8
    assert memory(lora, Setup(tokens=16384, weight_bytes=2)).total < one.total / 4
    kept = memory(whole, Setup(tokens=16384, checkpointing=False)).activations
    assert kept > 10 * one.activations


def test_the_table_in_the_documentation_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--table"]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed in (ROOT / "docs" / "training.md").read_text()
    assert printed.count("\n") > 20


def test_each_lora_recipe_fits_the_gpu_that_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    recipes = sorted((ROOT / "sft" / "recipes" / "lora").glob("*gb.yaml"))
    assert {path.stem.rpartition("-")[2] for path in recipes} == {"24gb", "80gb"}
    for path in recipes:
        size = path.stem.rpartition("-")[2].removesuffix("gb")
        assert main(["--config", str(path), "--gpus", "1", "--gpu-memory", size]) == 0, capsys.readouterr().out


def test_a_recipe_that_does_not_fit_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(ROOT / "sft" / "recipes" / "paper" / "qwen2.5-32b.yaml")
    assert main(["--config", recipe, "--gpus", "2"]) == 1
    assert "does NOT fit 2 x 80 GiB" in capsys.readouterr().out
    assert main(["--config", recipe, "--tokens", "2e9", "--num_train_epochs", "1"]) == 0
    assert "2,000,000,000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "no.yaml"], "no.yaml"),
        (["--max_length", "64"], "no model_name_or_path"),
        (["--max_lenth", "64"], "did you mean 'max_length'?"),
    ],
)
def test_bad_input_exits_2(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
