"""Rows that are tokenized once on each machine, whatever the number of its processes."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState
    from datasets import Dataset

__all__ = ["clear_prepared", "prepared_once"]

Prepared = tuple["Dataset", Counter[str]]

_FUNNEL = "funnel.json"


def _folder(output: Path) -> Path:
    return output / f"prepared-{os.uname().nodename}"  # machines may share output_dir or not


def prepared_once(build: Callable[[], Prepared], output: Path, state: PartialState) -> Prepared:
    """What ``build`` returns, built by the first process of each machine and read from disk by all.

    The others wait for it, at most ``ddp_timeout`` seconds. If ``build`` fails, it fails in every process.
    """
    if state.num_processes == 1:
        return build()
    from datasets import Dataset

    folder = _folder(output)
    if state.is_local_main_process:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            rows, funnel = build()
            rows.save_to_disk(str(folder))
            (folder / _FUNNEL).write_text(json.dumps(funnel))
        finally:
            state.wait_for_everyone()
    else:
        state.wait_for_everyone()
        if not (folder / _FUNNEL).is_file():
            raise ValueError("the rows could not be prepared; the main process says why")
    return Dataset.load_from_disk(str(folder)), Counter(json.loads((folder / _FUNNEL).read_text()))


def clear_prepared(output: Path, state: PartialState) -> None:
    """Remove what :func:`prepared_once` wrote, once every process is done with it."""
    if state.num_processes > 1:
        state.wait_for_everyone()
        if state.is_local_main_process:
            shutil.rmtree(_folder(output), ignore_errors=True)
