"""Disk space for checkpoints: asked for before a run starts, and one clear line where it runs out all the same."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inftythink_graph.errors import InftyThinkError, InvalidInputError
from sft.checkpoints import last_complete_checkpoint

__all__ = ["DiskFullError", "Footprint", "check_output", "full_disk_is_one_line"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GB = 1e9


class DiskFullError(InftyThinkError):
    """No room was left while a run was writing; the last complete checkpoint is whole."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a run will have on disk at most.

    Attributes:
        checkpoint: bytes of one checkpoint: trained weights and optimizer state.
        checkpoints: how many lie there at a time, the one being written included.
        final: bytes of the finished model.
    """

    checkpoint: int
    checkpoints: int
    final: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.checkpoint * self.checkpoints + self.final


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def check_output(output: Path, footprint: Footprint) -> None:
    """Make ``output`` and see that it can be written to and has room for the checkpoints that a run will keep.

    What earlier checkpoints in it take counts as room: a run that goes on replaces them.

    Raises:
        InvalidInputError: it can't be written to, or the disk is too small.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise InvalidInputError(f"output_dir {output} can't be written to: {error.strerror}") from error
    taken = sum(map(_size, [*output.glob("checkpoint-*"), output / "final"]))
    room = shutil.disk_usage(_nearest_existing(output)).free + taken
    if room < footprint.total:
        raise InvalidInputError(
            f"output_dir {output} has room for {room / _GB:,.1f} GB and the run needs {footprint.total / _GB:,.1f} GB:"
            f" {footprint.checkpoints} checkpoints of {footprint.checkpoint / _GB:,.1f} GB at a time (save_total_limit"
            f" and the one being written) and the model, {footprint.final / _GB:,.1f} GB; save_only_model: true leaves"
            " the optimizer state out, and then a killed run can't go on"
        )


def _is_full_disk(error: BaseException) -> bool:
    """Whether an error, or what it came from, is a disk without room; libraries have words of their own for it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        text = str(seen)
        if any(f"os error {number})" in text for number in _FULL):  # safetensors
            return True
        if isinstance(seen, RuntimeError) and re.search(r"inline_container\.cc|PytorchStreamWriter", text):
            return True  # torch.save, whose writer gives no reason
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def full_disk_is_one_line(output: Path) -> Iterator[None]:
    """Turn what libraries raise when a file can't be written to its end into one line that says how to go on.

    Raises:
        DiskFullError: no room was left (or a quota or a limit on the size of files was reached).
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _is_full_disk(error):
            raise
        last = last_complete_checkpoint(output)
        kept = f"the last complete checkpoint is {last}" if last else "no checkpoint was complete yet"
        raise DiskFullError(
            f"no room left to write in {os.fspath(output)}, or a file may not grow as large as it must"
            f" ({type(error).__name__}): {kept}; make room and go on with --resume"
        ) from error
