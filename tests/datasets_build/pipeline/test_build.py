"""What a build brings: every chain whole, every loss counted, files that load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from scripted_build import ETA, build, row, write_rows, written
from transformers import AutoTokenizer

from datasets_build.pipeline.shards import ShardWriter
from datasets_build.row_tokens import row_length
from inftythink_graph.models import bundled_path
from inftythink_graph.protocol import parse


def test_every_chain_comes_out_whole_in_order_and_within_its_limits(tmp_path: Path, source: Path) -> None:
    result = build(source, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(bundled_path())
    assert result.complete
    rows, whole = written(tmp_path / "out" / "data"), written(tmp_path / "out" / "vanilla")
    assert [each["uuid"] for each in whole] == [f"row-{number}" for number in range(12)]
    assert [each["uuid"] for each in rows] == sorted((each["uuid"] for each in rows), key=lambda uuid: int(uuid[4:]))
    for vanilla in whole:
        chain = parse(vanilla["completion"][0]["content"], "stop").segment
        parts = [each for each in rows if each["uuid"] == vanilla["uuid"]]
        assert [each["epoch"] for each in parts] == list(range(1, len(parts) + 1))
        parsed = [parse(each["completion"][0]["content"], "stop") for each in parts]
        assert "".join(chain.split()) == "".join("".join(each.segment for each in parsed).split())
        assert [each.kind for each in parsed] == ["summary"] * (len(parts) - 1) + ["conclusion"]
        for before, after in zip(parsed, parts[1:], strict=False):
            assert before.summary in after["prompt"][0]["content"], "each row goes on from the summary before"
    for each in rows:
        assert each["tokens"]["segment"] <= ETA
        assert each["tokens"]["total"] == row_length(each, tokenizer) <= 400
    funnel = result.report.funnel
    assert (funnel.passed("rows"), funnel.passed("examples"), funnel.passed("vanilla")) == (12, 12, 12)
    assert funnel.passed("segments") == funnel.passed("instances") == len(rows) > 24
    assert result.report.paid.requests == len(rows) - 12
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "config.yaml", "journal", "failed.jsonl", "data", "vanilla", "funnel.json", "report.md", "report.json",
        "histograms.png", "README.md",
    }  # fmt: skip
    assert not (tmp_path / "out" / "failed.jsonl").read_text()


def test_the_result_loads_as_a_data_set_with_two_configurations(tmp_path: Path, source: Path) -> None:
    from datasets import load_dataset

    result = build(source, tmp_path / "out", shard_rows=5)
    for name, stage in (("inftythink", "instances"), ("vanilla", "vanilla")):
        rows = load_dataset(str(tmp_path / "out"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(rows) == result.report.funnel.passed(stage)
        assert {"prompt", "completion", "tokens"} <= set(rows.column_names)


def test_the_trainer_reads_the_rows_and_finds_them_as_long_as_they_say(tmp_path: Path, source: Path) -> None:
    from tokenized_rows import tokenized

    from sft.arguments import DataArguments
    from sft.data import load_rows

    build(source, tmp_path / "out", shard_rows=5)
    tokenizer = AutoTokenizer.from_pretrained(bundled_path())
    arguments = DataArguments(dataset=str(tmp_path / "out" / "data" / "train-*.parquet"))
    rows, funnel = tokenized(load_rows(arguments, lambda texts: []), tokenizer, 400)
    lengths = [each["tokens"]["total"] for each in written(tmp_path / "out" / "data")]
    assert sorted(map(len, rows["input_ids"])) == sorted(lengths)
    assert funnel["rows too long"] == 0


def test_bad_rows_are_counted_by_reason_and_end_nothing(tmp_path: Path) -> None:
    good = row(0)
    text = good["generations"][0]
    rows: list[Any] = [
        good,
        {"problem": "no generations"},
        {**row(1), "generations": [None]},
        {**row(2), "generations": 7},
        {**row(3), "problem": ["not", "text"]},
        {**row(4), "generations": ["<think>never closed"]},
        {**row(5), "generations": [f"<think>{text}"]},
        {**row(6), "generations": ["<think></think>It is 6."]},
        {**row(7), "generations": ["<think>" + "\u00e9" * 50 + "</think>It is 7."]},
        row(8, mark="(long)"),
        json.dumps(row(9))[:40],
    ]
    result = build(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out", eta=1, summary_budget=1)
    assert result.report.funnel.lost("examples", "can't be cut") == 1, "a character of two tokens"
    result = build(tmp_path / "rows.jsonl", tmp_path / "other")
    funnel = result.report.funnel
    assert funnel.losses("rows") == {
        "empty chain": 1, "generation is not text": 1, "incomplete chain": 1, "invalid JSON line": 1,
        "nested or repeated think tags": 1, "null generation": 1, "question is not text": 1, "unknown columns": 1,
    }  # fmt: skip
    assert funnel.losses("examples") == {"summary over budget": 1}
    assert funnel.passed("examples") == 2
    (failed,) = map(json.loads, (tmp_path / "other" / "failed.jsonl").read_text().splitlines())
    assert (failed["uuid"], failed["reason"], failed["segment"]) == ("row-8", "summary over budget", 1)
    assert "over budget" in failed["detail"]


def test_nothing_longer_than_the_training_length_is_written(tmp_path: Path, source: Path) -> None:
    results = {mode: build(source, tmp_path / mode, max_length=120, too_long=mode) for mode in ("example", "row")}
    for mode, result in results.items():
        rows = written(tmp_path / mode / "data")
        funnel = result.report.funnel
        assert all(each["tokens"]["total"] <= 120 for each in rows)
        assert funnel.entered("instances") - funnel.lost("instances") == len(rows)
        assert funnel.lost("instances", "longer than the training length")
    assert len(written(tmp_path / "example" / "data")) < len(written(tmp_path / "row" / "data"))


def test_a_build_without_rows_still_has_files_that_load(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(0), "generations": ["<think>open"]}])
    result = build(source, tmp_path / "out")
    assert result.report.funnel.passed("instances") == 0
    assert written(tmp_path / "out" / "data") == []
    assert pq.read_schema(tmp_path / "out" / "data" / "train-00000.parquet").names[:2] == ["prompt", "completion"]


def test_shards_have_a_bounded_number_of_rows_and_are_replaced_as_a_whole(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out", shard_rows=4)
    rows = written(tmp_path / "out" / "data")
    sizes = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "out" / "data").iterdir())]
    assert sizes[:-1] == [4] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= 4
    with pytest.raises(KeyError), ShardWriter(tmp_path / "out" / "data", 4) as writer:
        writer.add(rows[index] if index < 9 else {}["gone"] for index in range(10))
    assert written(tmp_path / "out" / "data") == rows
    assert not list((tmp_path / "out").glob(".*"))
