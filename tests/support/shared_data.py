"""The data that lies beside a clone, in ../shared/data. CI has it; where a clone lacks it, tests that need it skip."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

__all__ = ["shared_file", "shared_rows"]

_ROOT = Path(__file__).parents[2]
_IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def shared_file(name: str) -> Path:
    """A file of the shared data; a worktree finds that of the clone which it belongs to, one folder further up."""
    for folder in _ROOT.parents[:2]:
        if (path := folder / "shared" / "data" / name).is_file():
            return path
    missing = f"../shared/data/{name} is not there"
    if _IN_CI:
        pytest.fail(missing)
    pytest.skip(missing)


def shared_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file of the shared data."""
    return [json.loads(line) for line in shared_file(name).read_text(encoding="utf-8").splitlines()]
