"""How much of a build is under way at a time, and where."""

from __future__ import annotations

from pathlib import Path

from scripted_build import Quiet, Summarizer, build, options, row, write_rows, written

from datasets_build.pipeline.build import build_dataset


def test_requests_and_examples_under_way_are_bounded(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, 4) for number in range(80)])
    model, view = Summarizer(delay=0.001), Quiet()
    build_dataset(options(source, tmp_path / "out", concurrency=3), model=model, view=view)
    assert 1 < model.most <= 3
    # working, waiting in the queue, and one in the hands of the reader
    assert 3 <= view.counts.most_under_way <= 3 + 3 + 2
    assert (view.counts.done, view.counts.under_way) == (80, 0)


def test_each_example_stays_on_one_endpoint_and_all_have_work(tmp_path: Path, source: Path) -> None:
    models = [Summarizer(delay=0.002), Summarizer(delay=0.002)]
    build_dataset(options(source, tmp_path / "out"), model=models, view=Quiet())
    asked = [{question.partition("?")[0] for question in model.questions} for model in models]
    assert not asked[0] & asked[1]
    assert all(len(each) >= 3 for each in asked)


def test_another_endpoint_takes_over_where_one_is_gone(tmp_path: Path, source: Path) -> None:
    gone, there = Summarizer(always_down=True), Summarizer(delay=0.001)
    result = build_dataset(options(source, tmp_path / "out", transport_tries=1), model=[gone, there], view=Quiet())
    assert result.complete
    assert result.report.funnel.passed("examples") == 12
    assert len(gone.questions) <= 4, "one that gives no reply is left alone for a while"
    build(source, tmp_path / "one")
    assert written(tmp_path / "out" / "data") == written(tmp_path / "one" / "data")
