"""The data that may lie beside a clone, in ../shared/data; where a clone lacks it, tests that need it skip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

__all__ = ["shared_file", "shared_rows"]

_ROOT = Path(__file__).parents[2]


def shared_file(name: str) -> Path:
    """A file of the shared data; a worktree finds that of the clone which it belongs to, one folder further up."""
    for folder in _ROOT.parents[:2]:
        if (path := folder / "shared" / "data" / name).is_file():
            return path
    pytest.skip(f"../shared/data/{name} is not there")


def shared_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file of the shared data."""
    return [json.loads(line) for line in shared_file(name).read_text(encoding="utf-8").splitlines()]
