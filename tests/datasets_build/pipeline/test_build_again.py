"""The same output folder again: what may change, what must not, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_build import Quiet, Summarizer, build, options, outcome_of, row, write_rows, written

from datasets_build.pipeline.build import build_dataset
from datasets_build.pipeline.progress import BuildCounts
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.journal import JournalBusyError


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"eta": 50}, "eta was 64, now 50"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"selection": "all"}, "selection was None, now 'all'"),
        ({"window": 5000}, "window was None, now 5000"),
    ],
)
def test_another_configuration_in_the_same_folder_is_refused(
    tmp_path: Path, source: Path, changes: dict[str, Any], difference: str
) -> None:
    build(source, tmp_path / "out")
    before = outcome_of(tmp_path / "out")
    with pytest.raises(InvalidInputError, match=f"{difference}.*another output folder"):
        build(source, tmp_path / "out", **changes)
    assert outcome_of(tmp_path / "out") == before


def test_options_that_no_example_depends_on_may_change(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out", limit=4)
    model = Summarizer()
    result = build(source, tmp_path / "out", model, concurrency=1, limit=6, max_attempts=5)
    assert result.report.funnel.passed("examples") == 6
    assert {question.partition("?")[0][-1] for question in model.questions} == {"4", "5"}


def test_rows_are_written_anew_where_only_their_form_changes(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    model, view = Summarizer(), Quiet()
    changed = options(source, tmp_path / "out", history="assistant", vanilla=False)
    build_dataset(changed, model=model, view=view)
    assert not model.questions
    assert any("history was 'user', now 'assistant'" in line for line in view.said)
    assert {each["prompt"][-1]["role"] for each in written(tmp_path / "out" / "data")} == {"user", "assistant"}
    assert not (tmp_path / "out" / "vanilla").exists()


def test_a_source_that_changed_brings_its_examples_as_they_are_now(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    write_rows(source, [row(0), {**row(1), "problem": "What else?"}])
    build(source, tmp_path / "out")
    assert [each["prompt"][0]["content"] for each in written(tmp_path / "out" / "vanilla")][1] == "What else?"
    assert len(written(tmp_path / "out" / "vanilla")) == 2


def test_an_output_folder_that_is_none_is_refused_before_anything_is_written(tmp_path: Path, source: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"holds other things \(rows.jsonl"):
        build(source, tmp_path)
    with pytest.raises(InvalidInputError, match="is a file"):
        build(source, source)
    with pytest.raises(InvalidInputError, match="no column 'nothing'"):
        build(source, tmp_path / "out", columns={"answer": "nothing"})
    with pytest.raises(InvalidInputError, match="tokenizer '/no/such' can't be loaded"):
        build(source, tmp_path / "out", tokenizer="/no/such")
    assert not (tmp_path / "out").exists()


def test_two_builds_never_write_the_same_folder(tmp_path: Path, source: Path) -> None:
    class Nested(Quiet):
        def start(self, counts: BuildCounts) -> None:
            with pytest.raises(JournalBusyError):
                build(source, tmp_path / "out")
            super().start(counts)

    build_dataset(options(source, tmp_path / "out"), model=Summarizer(), view=Nested())


async def test_it_runs_inside_a_running_event_loop_as_notebooks_have_one(tmp_path: Path, source: Path) -> None:
    assert build(source, tmp_path / "out").complete
