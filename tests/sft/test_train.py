"""Training for real: TRL steps on the CPU, killed and resumed, and a folder that transformers loads."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inftythink_graph.protocol import PROTOCOL_VERSION
from sft.checkpoints import last_complete_checkpoint
from sft.train import main

pytestmark = pytest.mark.integration

STEPS = 12
RECIPE = f"""
dataset: synthetic
method: inftythink
eta: 48
summary_budget: 20
synthetic_families: [product]
synthetic_chains: 30
synthetic_max_steps: 20
synthetic_rescue_share: 0.5
hidden_size: 32
num_layers: 2
num_heads: 2
intermediate_size: 48
vocab_size: 320
max_length: 192
packing: false
completion_only_loss: true
per_device_train_batch_size: 4
max_steps: {STEPS}
learning_rate: 1.0e-2
lr_scheduler_type: cosine
seed: 3
data_seed: 3
bf16: false
use_cpu: true
gradient_checkpointing: false
logging_steps: 1
save_steps: 4
report_to: none
disable_tqdm: true
"""


def _write_recipe(folder: Path, name: str, extra: str = "") -> tuple[Path, Path]:
    """A recipe and the folder that it trains into."""
    output = folder / name
    path = folder / f"{name}.yaml"
    path.write_text(f"{RECIPE}output_dir: {output}\n{extra}")
    return path, output


def _losses(folder: Path) -> list[float]:
    """The logged losses of a checkpoint's history, in order."""
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an uninterrupted run."""
    recipe, output = _write_recipe(tmp_path_factory.mktemp("sft"), "whole")
    assert main(["--config", str(recipe)]) == 0
    return output


def test_the_loss_falls(trained: Path) -> None:
    losses = _losses(trained / f"checkpoint-{STEPS}")
    assert len(losses) == STEPS
    assert sum(losses[-3:]) / 3 < sum(losses[:3]) / 3 - 0.5


def test_the_finished_model_loads_and_writes(trained: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    final = trained / "final"
    tokenizer = AutoTokenizer.from_pretrained(final)
    model = AutoModelForCausalLM.from_pretrained(final)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is 3 times 5?"}], add_generation_prompt=True, return_tensors="pt"
    )
    written = model.generate(**prompt, max_new_tokens=5)
    assert written.shape[1] > prompt["input_ids"].shape[1]
    card = json.loads((final / "inftythink.json").read_text())
    assert card["method"] == "inftythink"
    assert card["protocol_version"] == PROTOCOL_VERSION
    assert (card["eta"], card["summary_budget"], card["context"], card["history"]) == (48, 20, 192, "user")


def test_a_killed_run_resumes_to_the_same_weights(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    recipe, output = _write_recipe(tmp_path, "killed")
    command = [sys.executable, "-m", "sft.train", "--config", str(recipe)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        deadline = time.monotonic() + 300
        # Steps 5 to 12 leave time to be killed in.
        while last_complete_checkpoint(output) is None and process.poll() is None:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert not (output / "final").exists()
    torn = output / "checkpoint-9999"  # as if the kill had come while a later one was written
    torn.mkdir()
    (torn / "config.json").write_text("{}")

    assert main(["--config", str(recipe), "--resume"]) == 0
    assert re.search(r'"resumed_from": ".*checkpoint-(4|8)"', capsys.readouterr().out)
    whole, resumed = (load_file(folder / "final" / "model.safetensors") for folder in (trained, output))
    assert whole.keys() == resumed.keys()
    for name, weight in whole.items():
        assert float((weight - resumed[name]).abs().max()) < 1e-5, name
    last = f"checkpoint-{STEPS}"
    assert _losses(output / last) == pytest.approx(_losses(trained / last), abs=1e-4)


def test_only_a_checkpoint_that_was_written_to_its_end_counts(tmp_path: Path) -> None:
    assert last_complete_checkpoint(tmp_path / "nothing") is None
    for step, state in ((9, "{}"), (10, "{}"), (100, '{"log_his'), (200, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-old").mkdir()
    assert last_complete_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_rows_of_a_file_train_a_checkpoint(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a user does: rows that the data builder wrote, on top of a model that is there."""
    rows = tmp_path / "rows.jsonl"
    row = {
        "prompt": [{"role": "user", "content": "What is 3 times 5?"}],
        "completion": [{"role": "assistant", "content": "<think>\n1: 0 + 3 = 3\n</think>\n\n\\boxed{15}"}],
    }
    long = {**row, "completion": [{"role": "assistant", "content": "3 " * 500}]}
    rows.write_text("".join(json.dumps(item) + "\n" for item in [row, row, long, row]))
    recipe, output = _write_recipe(tmp_path, "again")
    words = ["--dataset", str(rows), "--model_name_or_path", str(trained / "final"), "--max_steps", "2"]
    assert main(["--config", str(recipe), *words]) == 0
    funnel = json.loads(re.search(r'^\{"data": .*\}$', capsys.readouterr().out, re.MULTILINE).group())["data"]
    assert (funnel["rows"], funnel["rows too long"]) == (3, 1)
    assert (output / "final" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("lerning_rate: 1.0e-3\n", "did you mean 'learning_rate'?"),
        ("synthetic_rescue: 0.1\n", "did you mean 'synthetic_rescue_share'?"),
    ],
)
def test_an_unknown_key_exits_2(tmp_path: Path, extra: str, message: str) -> None:
    recipe, output = _write_recipe(tmp_path, "unknown", extra)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", "sft.train", "--config", str(recipe)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not output.exists()


def test_wrong_columns_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "x"}) + "\n")
    recipe, output = _write_recipe(tmp_path, "columns")
    assert main(["--config", str(recipe), "--dataset", str(rows)]) == 2
    assert "lacks the columns ['completion', 'prompt']; it has ['text']" in capsys.readouterr().err
    assert not (output / "final").exists()


def test_rows_that_all_exceed_the_window_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, _ = _write_recipe(tmp_path, "window")
    assert main(["--config", str(recipe), "--max_length", "20", "--method", "vanilla"]) == 2
    assert "rows fits max_length = 20" in capsys.readouterr().err
