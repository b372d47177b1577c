"""Several processes, for real: the same losses as one, one voice, rows prepared once, and FSDP2's whole model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launched_runs import CONFIGS, launch

from sft.train import main

RECIPE = """
dataset: synthetic
eta: 48
summary_budget: 20
synthetic_families: [product]
synthetic_chains: 30
synthetic_max_steps: 20
hidden_size: 32
num_layers: 2
num_heads: 2
intermediate_size: 48
vocab_size: 320
max_length: 192
packing: true
per_device_train_batch_size: 1
global_batch_size: 4
max_steps: 4
learning_rate: 1.0e-2
lr_scheduler_type: cosine
bf16: false
use_cpu: true
gradient_checkpointing: false
logging_steps: 1
save_steps: 4
report_to: none
disable_tqdm: true
"""
# accelerate takes FSDP for GPUs only; torch itself shards over gloo as well.
FSDP_ON_CPU = """
import sys
from accelerate.state import PartialState
from accelerate.utils import DistributedType

init = PartialState.__init__
def patched(self, *args, **kwargs):
    init(self, *args, **kwargs)
    if PartialState._shared_state.get("distributed_type") == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU
PartialState.__init__ = patched
from sft.train import main
sys.exit(main())
"""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_reads_its_configurations(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(path))
    kind = {"ddp": "MULTI_GPU", "fsdp": "FSDP", "zero3": "DEEPSPEED"}[path.stem.removesuffix("-nodes")]
    assert config.distributed_type.value == kind
    assert config.mixed_precision == "bf16"
    several = path.stem.endswith("-nodes")
    assert config.num_machines == (2 if several else 1)
    assert (config.main_process_ip is not None) == several
    assert config.fsdp_config.get("fsdp_version") == (2 if kind == "FSDP" else None)
    assert config.deepspeed_config.get("zero_stage") == (3 if kind == "DEEPSPEED" else None)


def _losses(output: Path) -> list[float]:
    history = json.loads((output / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe, and the output of one process with it."""
    folder = tmp_path_factory.mktemp("alone")
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    assert main(["--config", str(recipe), "--output_dir", str(folder / "run")]) == 0
    return recipe, folder / "run"


def _same_weights(one: Path, other: Path) -> bool:
    """Whether the two finished models, as transformers loads them, are one."""
    import torch
    from transformers import AutoModelForCausalLM

    first, second = (AutoModelForCausalLM.from_pretrained(path / "final").state_dict() for path in (one, other))
    assert first.keys() == second.keys()
    return all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


@pytest.mark.integration
def test_two_processes_give_the_losses_of_one(alone: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, single = alone
    words = ["--config", str(recipe), "--output_dir", "run"]
    done = launch(tmp_path, ["-m", "sft.train"], *words, config="ddp")
    assert done.returncode == 0, done.stderr
    output = tmp_path / "run"
    assert {path.name for path in (output / "checkpoint-4").glob("rng_state_*")} == {
        "rng_state_0.pth",
        "rng_state_1.pth",
    }
    assert _losses(output) == pytest.approx(_losses(single), abs=1e-4)
    assert _same_weights(output, single)
    assert done.stdout.count('{"data": ') == 1
    assert done.stdout.count("model saved in") == 1
    assert not list(output.glob("prepared-*"))


@pytest.mark.integration
def test_fsdp2_trains_alike_and_the_finished_model_is_whole(alone: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, single = alone
    script = tmp_path / "fsdp.py"
    script.write_text(FSDP_ON_CPU)
    words = ["--config", str(recipe), "--output_dir", "run"]
    done = launch(tmp_path, [str(script)], *words, config="fsdp")
    assert done.returncode == 0, done.stderr
    output = tmp_path / "run"
    assert (output / "checkpoint-4" / "pytorch_model_fsdp_0").is_dir()  # checkpoints are written in shares
    assert _losses(output) == pytest.approx(_losses(single), abs=1e-4)
    assert _same_weights(output, single)


@pytest.mark.integration
def test_fsdp2_merges_adapters_into_whole_weights(alone: tuple[Path, Path], tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    recipe, single = alone
    script = tmp_path / "fsdp.py"
    script.write_text(FSDP_ON_CPU)
    words = ["--config", str(recipe), "--output_dir", "run", "--model_name_or_path", str(single / "final")]
    done = launch(tmp_path, [str(script)], *words, "--use_peft", "true", "--lora_r", "4", config="fsdp")
    assert done.returncode == 0, done.stderr
    ids = torch.arange(3, 40)[None]
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "final")
    base = AutoModelForCausalLM.from_pretrained(single / "final")
    with torch.no_grad():
        before = base.eval()(ids).logits
        adapted = PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()(ids).logits
        assert torch.allclose(whole.eval()(ids).logits, adapted, atol=1e-4)
    assert not torch.allclose(adapted, before, atol=1e-3)


@pytest.mark.integration
def test_an_error_is_said_once(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    words = ["--config", str(recipe), "--output_dir", "run", "--global_batch_size", "3"]
    done = launch(tmp_path, ["-m", "sft.train"], *words, config="ddp")
    assert done.returncode != 0
    assert done.stderr.count("sft.train: global_batch_size 3 can't be shared by 2 processes") == 1
