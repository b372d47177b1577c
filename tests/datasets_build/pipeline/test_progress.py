"""What is kept of an example, and what is shown of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted_build import build, options, row, write_rows

from datasets_build.pipeline.progress import BuildCounts, progress_line
from datasets_build.pipeline.records import Built, Failed, read_outcome
from datasets_build.pipeline.row_counts import known_rows
from inftythink_graph.journal import read_journal
from inftythink_graph.progress import Rates


def test_records_are_what_they_were(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(0), row(1, mark="(long)")])
    build(source, tmp_path / "out")
    values = [value for _, value in read_journal(tmp_path / "out" / "journal" / "examples.jsonl")]
    outcomes = [read_outcome(value) for value in values]
    assert {type(each) for each in outcomes} == {Built, Failed}
    assert [json.loads(json.dumps(each.as_json())) for each in outcomes] == values
    with pytest.raises(ValueError, match="no record of an example"):
        read_outcome({"other": 1})


def test_progress_says_rates_and_time_left(tmp_path: Path, source: Path) -> None:
    counts, rates = BuildCounts(total_rows=100, kept=3, done=7, paid_requests=5, reused=2), Rates()
    counts.funnel.enter("rows", 10)
    rates.note(0.0, 0, 0)
    rates.note(20.0, 10, 400)
    line = progress_line(counts, rates)
    assert "rows 10 of 100 (0.5/s)" in line
    assert "examples 10 (3 from before)" in line
    assert "5 (20 tokens/s), 2 from the cache" in line
    assert "0:03:00 left" in line


def test_the_number_of_rows_is_known_without_reading_them(tmp_path: Path, source: Path) -> None:
    assert known_rows(options(source, tmp_path).source_options()) == 12
    assert known_rows(options(source, tmp_path, limit=5).source_options()) == 5
    build(source, tmp_path / "out")
    parquet = tmp_path / "out" / "vanilla" / "train-00000.parquet"
    assert known_rows(options(parquet, tmp_path).source_options()) == 12
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(b"")
    assert known_rows(options(packed, tmp_path).source_options()) is None
