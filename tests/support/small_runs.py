"""Small training runs for tests: a recipe, and runs that are killed at an exact moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["RECIPE", "history", "killed_at", "write_recipe"]

RECIPE: dict[str, Any] = {
    "dataset": "synthetic",
    "eta": 48,
    "summary_budget": 16,
    "synthetic_families": ["product"],
    "synthetic_chains": 24,
    "synthetic_max_steps": 20,
    "synthetic_rows_per_chain": 4,
    "synthetic_rescue_share": 0.5,
    "hidden_size": 16,
    "num_layers": 1,
    "num_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 320,
    "max_length": 192,
    "completion_only_loss": True,
    "per_device_train_batch_size": 2,
    "max_steps": 6,
    "learning_rate": 1.0e-2,
    "lr_scheduler_type": "cosine",
    "seed": 3,
    "data_seed": 3,
    "bf16": False,
    "use_cpu": True,
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}


def write_recipe(path: Path, **changes: Any) -> list[str]:
    """Write a recipe; returns the command line that names it."""
    import yaml

    output = {"output_dir": str(path.with_suffix(""))}
    path.write_text(yaml.safe_dump({**RECIPE, **output, **changes}))
    return ["--config", str(path)]


def history(folder: Path, *names: str) -> list[dict[str, Any]]:
    """A run's log, with the step and the named figures of every entry that has one of them."""
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    wanted = ("step", *names)
    return [{k: e[k] for k in wanted if k in e} for e in entries if any(name in e for name in names)]


_KILLED = """
import os, signal, sys
import {module} as module
name = {function!r}
owner = getattr(module, {owner!r}) if {owner!r} else module
original, calls = getattr(owner, name), 0

def fatal(*args, **kwargs):
    global calls
    calls += 1
    if calls == {call} and {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*args, **kwargs)
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, fatal)
from sft.train import main
sys.exit(main(sys.argv[1:]))
"""


def killed_at(words: list[str], module: str, owner: str, function: str, call: int, *, before: bool = False) -> int:
    """Train in a process of its own that SIGKILLs itself at the ``call``-th call of a function; its exit status.

    Args:
        words: the command line of ``sft.train``.
        module, owner, function: which function: of a module's class, or of the module itself where ``owner`` is "".
        call: at which of its calls.
        before: instead of doing what it does, and not after it.
    """
    names = {"module": module, "owner": owner, "function": function, "call": call, "before": before}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", _KILLED.format(**names), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode < 0, done.stderr
    return done.returncode
