"""A source of twelve good rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_build import row, write_rows


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number, 3 + number % 7) for number in range(12)])
