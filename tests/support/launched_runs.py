"""Training runs of several processes, launched as users launch them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["CONFIGS", "launch"]

CONFIGS = sorted((Path(__file__).parents[2] / "sft" / "accelerate").glob("*.yaml"))
"""The package's configurations of accelerate."""


def launch(folder: Path, target: list[str], *words: str, config: str) -> subprocess.CompletedProcess[str]:
    """``accelerate launch`` with two processes on the CPU.

    The configuration says so, and not ``--cpu``: with that flag accelerate runs a single process without a word.

    Args:
        folder: where it runs.
        target: a module (``-m``, its name) or a script.
        words: its command line.
        config: which of :data:`CONFIGS`, by its name.
    """
    file = next(path for path in CONFIGS if path.stem == config)
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(file), "--num_processes", "2"]
    return subprocess.run(
        [sys.executable, *launch, "--mixed_precision", "no", "--main_process_port", "0", *target, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        timeout=900,
        check=False,
    )
