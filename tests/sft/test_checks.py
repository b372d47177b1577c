"""What is refused before anything expensive starts: each by a real trigger, one line, exit code 2."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from inftythink_graph.cli import main as cli_main
from inftythink_graph.errors import InvalidInputError
from sft.batch import accumulation_steps
from sft.checks import check_hardware, check_recipe
from sft.disk import DiskFullError, Footprint, check_output, full_disk_is_one_line
from sft.recipe import read_recipe
from sft.train import main

RECIPE = """
dataset: synthetic
eta: 48
summary_budget: 20
synthetic_families: [product]
synthetic_chains: 8
synthetic_max_steps: 20
hidden_size: 16
num_layers: 1
num_heads: 2
intermediate_size: 16
vocab_size: 320
max_length: 256
max_steps: 1
use_cpu: true
bf16: false
report_to: none
save_strategy: "no"
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a window of 256 tokens, without weights: what is checked here needs none."""
    from transformers import Qwen2Config

    folder = tmp_path_factory.mktemp("checkpoint")
    sizes = {"vocab_size": 320, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = Qwen2Config(**sizes, num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=256)
    config.save_pretrained(folder)
    return folder


def _run(folder: Path, text: str, *words: str) -> int:
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"{RECIPE}output_dir: {folder / 'run'}\n{text}")
    return main(["--config", str(recipe), *words])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eta: 200\n", "eta 200 + 2 x summary_budget 20 + prompt_reserve 64 = 304 tokens are over max_length 256"),
        ("eta: 100\ncontext: 128\npacking: true\n", "= 204 tokens are over the model's window of 128"),
        ("method: vanilla\ncontext: 128\n", "max_length 256 is over the model's window of 128"),
        ("use_cpu: false\n", "this machine has no GPU"),
        ("use_cpu: false\nbf16: true\n", "the recipe is for a GPU with bf16, and this machine has none"),
        ("attn_implementation: flash_attention_2\n", "needs the package flash-attn, which isn't installed"),
        ("packing: true\nattn_implementation: paged\n", "packing with attn_implementation: paged would not keep"),
        ("packing: true\npacking_strategy: wrapped\n", "lets the samples of a packed row see each other"),
        ("use_peft: true\n", "change a checkpoint: set model_name_or_path"),
        ("rope_scaling: linear\n", "change a checkpoint: set model_name_or_path"),
        (
            "global_batch_size: 6\nper_device_train_batch_size: 4\n",
            "global_batch_size 6 can't be shared by 1 processes x per_device_train_batch_size 4 = 4:"
            " per_device_train_batch_size may be 1, 2, 3, 6",
        ),
    ],
)
def test_what_can_only_go_wrong_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    assert _run(tmp_path, text) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert "data" not in printed.out  # no row was prepared
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "vanilla", "--max_length", "512"], "max_length 512 is over the model's window of 256"),
        (["--max_length", "512", "--eta", "300", "--packing", "true"], "over the model's window of 256"),
        (["--max_length", "512", "--context", "512"], "context 512 is over the window of"),
        (["--rope_factor", "2"], "rope_factor needs rope_scaling"),
    ],
)
def test_a_checkpoint_s_window_is_known_before_its_weights_are_read(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert _run(tmp_path, "", "--model_name_or_path", str(checkpoint), *words) == 2
    assert message in capsys.readouterr().err


def test_a_packed_row_may_be_longer_than_the_window_of_its_samples(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Positions begin anew with each sample: here only the missing tokenizer stops the run."""
    words = ["--model_name_or_path", str(checkpoint), "--max_length", "512", "--packing", "true"]
    assert _run(tmp_path, "", *words) == 2
    assert "window" not in capsys.readouterr().err


def test_many_packed_rows_with_a_mask_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "packing: true\nper_device_train_batch_size: 2\n") == 0
    assert "its mask grows with the square" in capsys.readouterr().err


def test_held_out_rows_are_not_packed_and_not_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held_out = "synthetic_eval_chains: 4\neval_strategy: steps\neval_steps: 1\nper_device_eval_batch_size: 8\n"
    assert _run(tmp_path, f"packing: true\nper_device_train_batch_size: 1\n{held_out}") == 0
    assert "its mask grows" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        ("FSDP", ["--generation_problems", "2", "--eval_share", "0.1"], "can't be used with FSDP: no process holds"),
        ("ZeRO-3", ["--generation_problems", "2", "--eval_share", "0.1"], "can't be used with ZeRO-3"),
        ("FSDP", ["--muon_learning_rate", "0.1"], "muon_learning_rate needs whole matrices"),
        ("ZeRO-2", ["--muon_learning_rate", "0.1"], "muon_learning_rate needs whole matrices"),
        ("ZeRO-3", ["--use_peft", "true"], "use_peft with DeepSpeed ZeRO-3 is not supported"),
        ("FSDP", ["--use_peft", "true", "--tags", "tokens"], "single rows of the embeddings, which FSDP can't"),
        ("FSDP", ["--use_peft", "true", "--chat_template", "inftythink"], "single rows of the embeddings"),
        ("FSDP", ["--use_peft", "true"], ""),
        ("ZeRO-2", ["--generation_problems", "2", "--eval_share", "0.1"], ""),
        ("", ["--use_peft", "true", "--tags", "tokens", "--muon_learning_rate", "0.1"], ""),
    ],
)
def test_what_spread_weights_can_not_do_is_known_before_they_are_read(
    kind: str, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = ["--model_name_or_path", "base", "--max_length", "8192", "--use_cpu", "true", "--bf16", "false", *words]
    data, model, config = read_recipe(recipe)
    if kind == "FSDP":
        monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    elif kind:
        config.deepspeed_plugin = SimpleNamespace(zero_stage=int(kind[-1]))
    with pytest.raises(InvalidInputError, match=message) if message else nullcontext():
        check_recipe(data, model, config, None)


def test_several_gpus_for_one_process_are_refused() -> None:
    config = SimpleNamespace(n_gpu=4, use_cpu=False, device=SimpleNamespace(type="cuda"))
    with pytest.raises(InvalidInputError, match=r"one process sees 4 GPUs: .*--num_processes 4.*CUDA_VISIBLE_DEVICES"):
        check_hardware(config)  # type: ignore[arg-type] - what the check reads of one
    config.n_gpu = 1
    check_hardware(config)  # type: ignore[arg-type] - as above


def test_the_global_batch_is_shared_by_processes() -> None:
    assert [accumulation_steps(32, each, 1) for each in (1, 8, 32)] == [32, 4, 1]
    assert accumulation_steps(32, 4, 2) == 4
    with pytest.raises(InvalidInputError, match="use a number of processes that divides it, not 5"):
        accumulation_steps(32, 5, 1)


def test_an_output_folder_that_can_not_be_written_to_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert _run(tmp_path, "", "--output_dir", str(tmp_path / "file" / "run")) == 2
    assert "can't be written to: Not a directory" in capsys.readouterr().err


def test_too_small_a_disk_is_refused_with_its_numbers(tmp_path: Path) -> None:
    huge = Footprint(checkpoint=10**18, checkpoints=3, final=10**17)
    with pytest.raises(InvalidInputError, match=r"needs 3,100,000,000\.0 GB: 3 checkpoints of 1,000,000,000\.0 GB"):
        check_output(tmp_path, huge)
    check_output(tmp_path, Footprint(checkpoint=10, checkpoints=3, final=10))


def test_a_write_to_a_full_device_is_one_line(tmp_path: Path) -> None:
    complete = tmp_path / "checkpoint-7"
    complete.mkdir()
    (complete / "trainer_state.json").write_text(json.dumps({}))
    (tmp_path / "full").symlink_to("/dev/full")
    with (
        pytest.raises(DiskFullError, match=re.escape(f"is {complete}; make room and go on with --resume")),
        full_disk_is_one_line(tmp_path),
        (tmp_path / "full").open("w") as file,
    ):
        file.write("x" * 100_000)


@pytest.mark.parametrize("library", ["torch", "safetensors"])
def test_libraries_that_run_out_of_room_in_their_own_words_are_understood(tmp_path: Path, library: str) -> None:
    import resource

    import torch
    from safetensors.torch import save_file

    weights = {"a": torch.zeros(1000)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(DiskFullError, match="no checkpoint was complete yet"), full_disk_is_one_line(tmp_path):
            torch.save(weights, tmp_path / "w.pt") if library == "torch" else save_file(weights, tmp_path / "w")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("error", [OSError(2, "No such file"), RuntimeError("shapes differ"), KeyError("x")])
def test_other_errors_pass_as_they_are(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, full_disk_is_one_line(tmp_path):
        raise error
    assert caught.value is error


def test_inftythink_train_is_the_same_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("lerning_rate: 1.0e-3\n")
    assert cli_main(["train", "--config", str(recipe)]) == 2
    assert "did you mean 'learning_rate'?" in capsys.readouterr().err
