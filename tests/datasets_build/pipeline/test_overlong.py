"""Examples that are too long whatever their summaries say: left out before these are paid for, and not for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_build import ETA, Summarizer, build, options, outcome_of, row, write_rows, written
from transformers import AutoTokenizer

from datasets_build.instances import inftythink_instances
from datasets_build.pipeline.build import BuildResult
from datasets_build.pipeline.dry_run import dry_run
from datasets_build.pipeline.overlong import LengthCheck, longest_row
from datasets_build.pipeline.records import Overlong, read_outcome
from datasets_build.row_tokens import row_length
from datasets_build.segmentation.segment import Segment, segment_chain
from datasets_build.sources.examples import Example
from inftythink_graph.journal import read_journal
from inftythink_graph.models import bundled_path

REASON = "left out before its summaries: a row of its example is too long"
LONG = 2  # the row whose conclusion alone is longer than any other row


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [row(number, 5 + number) for number in range(5)]
    rows[LONG]["generations"][0] += " Indeed." * 200
    return write_rows(tmp_path / "rows.jsonl", rows)


def _asked_about(model: Summarizer) -> list[int]:
    return [int(question.partition("row ")[2].partition("?")[0]) for question in model.questions]


def _adds_up(result: BuildResult, output: Path) -> None:
    funnel = result.report.funnel
    assert funnel.passed("rows") == funnel.entered("examples")
    assert funnel.passed("segments") == funnel.entered("instances")
    assert funnel.passed("examples") == funnel.entered("vanilla")
    assert funnel.passed("instances") == len(written(output / "data"))
    assert funnel.passed("vanilla") == len(written(output / "vanilla"))
    assert funnel.as_json() == json.loads((output / "funnel.json").read_text())


def test_nothing_is_paid_for_what_can_not_fit(tmp_path: Path, source: Path) -> None:
    model = Summarizer()
    result = build(source, tmp_path / "out", model)
    assert set(_asked_about(model)) == {0, 1, 3, 4}
    assert result.complete
    _adds_up(result, tmp_path / "out")
    assert {each["uuid"] for each in written(tmp_path / "out" / "data")} == {"row-0", "row-1", "row-3", "row-4"}
    (failed,) = map(json.loads, (tmp_path / "out" / "failed.jsonl").read_text().splitlines())
    assert (failed["uuid"], failed["reason"]) == (f"row-{LONG}", REASON)
    assert failed["segment"] == failed["segments"] > 1, "the conclusion is the last row's"
    funnel = result.report.funnel
    assert funnel.losses("instances") == {REASON: failed["segments"]}
    (detail,) = funnel.details("instances", REASON)
    assert detail.startswith(f"row-{LONG}, epoch {failed['segment']}: at least ")
    assert detail.endswith(" tokens, max_length 400")
    model = Summarizer()
    before = outcome_of(tmp_path / "out")
    build(source, tmp_path / "out", model)
    assert (model.questions, outcome_of(tmp_path / "out")) == ([], before)


@pytest.mark.parametrize("changes", [{"max_length": 5000}, {"too_long": "row"}], ids=["longer rows", "rows alone"])
def test_it_is_taken_up_where_the_option_changes(tmp_path: Path, source: Path, changes: dict[str, Any]) -> None:
    build(source, tmp_path / "out")
    model = Summarizer()
    result = build(source, tmp_path / "out", model, **changes)
    assert set(_asked_about(model)) == {LONG}
    _adds_up(result, tmp_path / "out")
    assert not (tmp_path / "out" / "failed.jsonl").read_text()
    build(source, tmp_path / "fresh", **changes)
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "fresh")
    model = Summarizer()
    back = build(source, tmp_path / "out", model)
    assert not model.questions, "what is paid for stays"
    _adds_up(back, tmp_path / "out")
    assert set(back.report.funnel.losses("instances")) == {
        "longer than the training length", "another row of its example is too long"
    }  # fmt: skip


def test_a_length_that_is_still_too_small_leaves_it_out_again(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    for changes in ({"max_length": 420}, {"history": "assistant"}):
        model = Summarizer()
        result = build(source, tmp_path / "out", model, **changes)
        assert not model.questions
        _adds_up(result, tmp_path / "out")
        assert set(result.report.funnel.losses("instances")) == {REASON}
    last = [value for _, value in read_journal(tmp_path / "out" / "journal" / "examples.jsonl")][-1]
    kept = read_outcome(last)
    assert isinstance(kept, Overlong)
    assert kept.history == "assistant", "measured as the rows are now"
    assert json.loads(json.dumps(kept.as_json())) == last


def test_vanilla_rows_are_those_of_the_whole_chains_all_the_same(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "example")
    build(source, tmp_path / "row", too_long="row")
    assert written(tmp_path / "example" / "vanilla") == written(tmp_path / "row" / "vanilla")
    assert written(tmp_path / "example" / "vanilla")


def test_a_dry_run_counts_no_request_for_it(tmp_path: Path, source: Path) -> None:
    estimates = {mode: dry_run(options(source, tmp_path, dry_run=True, too_long=mode)) for mode in ("example", "row")}
    assert (estimates["example"].overlong, estimates["row"].overlong) == (1, 0)
    model = Summarizer()
    build(source, tmp_path / "out", model)
    assert estimates["example"].requests == len(model.questions) < estimates["row"].requests
    assert any("too long: 1 for 5 rows" in line for line in estimates["example"].lines())


TOKENIZER = AutoTokenizer.from_pretrained(bundled_path())
TEXTS = [f"Step {number}: add {number} to 7." for number in range(3)]
CHAIN = "\n\n".join(TEXTS)
EXAMPLE = Example("u", "s", "What?", CHAIN, "So it is.", "Be brief.")


@settings(max_examples=60, deadline=None)
@given(summaries=st.lists(st.text(min_size=1, max_size=3).filter(str.strip), min_size=2, max_size=2))
def test_no_example_is_left_out_that_would_fit(summaries: list[str]) -> None:
    segments = [Segment(text, "\n\n", len(text), "paragraph") for text in TEXTS]
    chosen = options(Path("rows.jsonl"), Path("out"))
    rows = inftythink_instances(
        EXAMPLE.question, TEXTS, summaries, EXAMPLE.conclusion, protocol=chosen.protocol(), eta=ETA, source="s",
        uuid="u", system=EXAMPLE.system,
    )  # fmt: skip
    assert longest_row(EXAMPLE, segments, chosen, TOKENIZER)[1] <= max(row_length(each, TOKENIZER) for each in rows)


def test_what_is_certain_is_found_to_the_token() -> None:
    segments = segment_chain(CHAIN, 20, TOKENIZER)
    _, tokens = longest_row(EXAMPLE, segments, options(Path("r"), Path("o"), eta=20), TOKENIZER)
    for length, left_out in ((tokens, False), (tokens - 1, True)):
        check = LengthCheck(options(Path("r"), Path("o"), eta=20, max_length=length))
        assert (check(EXAMPLE, segments) is not None) == left_out
    short = LengthCheck(options(Path("r"), Path("o"), eta=20, max_length=21))
    assert short(EXAMPLE, segments[:1]) is None, "one segment has no summary to pay for"
