"""Checkpoints of a run that was killed."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["last_complete_checkpoint"]


def last_complete_checkpoint(output: Path) -> str | None:
    """The newest checkpoint in ``output`` that was written to its end; None where there is none.

    A run that is killed while it saves leaves a folder without its last file, or with half of it.
    """
    found = [path for path in output.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text())  # the last file of a checkpoint
        except (OSError, ValueError):
            continue
        return str(path)
    return None
