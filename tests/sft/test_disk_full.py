"""A disk that fills up while a run writes a checkpoint: one line, the last complete checkpoint, and a way on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import write_recipe

from sft.checkpoints import last_complete_checkpoint
from sft.train import main

pytestmark = pytest.mark.integration

# After the first checkpoint no file may grow beyond a few bytes: a real failure of the system's write calls, in place
# of a real full disk, which a test can't make without rights that it may not have.
LIMITED = """
import resource, sys
from transformers import TrainerCallback, Trainer
import sft.train

class Limit(TrainerCallback):
    def on_save(self, args, state, control, **kwargs):
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

init = Trainer.__init__
def patched(self, *args, **kwargs):
    init(self, *args, **kwargs)
    self.add_callback(Limit())
Trainer.__init__ = patched
sys.exit(sft.train.main(sys.argv[1:]))
"""


def test_a_run_that_can_not_write_ends_in_one_line_and_goes_on_later(tmp_path: Path) -> None:
    words = write_recipe(tmp_path / "run.yaml", max_steps=4, save_strategy="steps", save_steps=2)
    output = tmp_path / "run"
    script = tmp_path / "limited.py"
    script.write_text(LIMITED)
    done = subprocess.run(
        [sys.executable, str(script), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        timeout=600,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    kept = output / "checkpoint-2"
    assert f"the last complete checkpoint is {kept}; make room and go on with --resume" in done.stderr
    assert last_complete_checkpoint(output) == str(kept)
    assert not (output / "final" / "model.safetensors").exists()
    assert main([*words, "--resume"]) == 0
    assert (output / "final" / "model.safetensors").is_file()
