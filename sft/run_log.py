"""The log of a run as a table: one JSON object a line, one line a log, in order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

__all__ = ["LOG", "LogFiles", "history_of", "write_log"]

LOG = "log.jsonl"
"""The file in a run's folder, and in that of the finished model."""


def write_log(history: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write a run's ``log_history``, the steps first."""
    lines = [
        json.dumps({"step": entry.get("step"), **{k: v for k, v in entry.items() if k != "step"}}) for entry in history
    ]
    temporary = folder / f"{LOG}.new"
    temporary.write_text("".join(f"{line}\n" for line in lines))
    temporary.replace(folder / LOG)


def history_of(folder: Path) -> list[dict[str, Any]]:
    """The log of a run, from its ``log.jsonl``.

    Raises:
        ValueError: the folder has none, or it is no log.
    """
    path = folder / LOG
    if not path.is_file():
        raise ValueError(f"{folder} has no {LOG}: it is no folder of a run")
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except ValueError as error:
        raise ValueError(f"{path} is no log: {error}") from error


class LogFiles(TrainerCallback):
    """Writes the log whenever a checkpoint is saved and at the end: earlier sessions of a resumed run included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _write(self, state: Any) -> None:
        if state.is_world_process_zero and state.log_history:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_log(state.log_history, self._folder)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._write(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._write(state)
