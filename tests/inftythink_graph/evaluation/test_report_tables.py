"""The report's tables: what stands in them, how numbers are written, and that text of others stays text."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from trial_runs import HOSTILE, example_runs, question_set, trial, trial_run

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics import Estimate, Share, mean_at_n
from inftythink_graph.evaluation.report import RunSummary, summarize, summarize_all, tables
from inftythink_graph.evaluation.report.comparisons import compare_all
from inftythink_graph.evaluation.report.long_tables import costs_rows, curves_rows, groups_rows
from inftythink_graph.evaluation.report.names import run_names, shortly, slugs
from inftythink_graph.evaluation.report.table import Column, Kind, Table, shown
from inftythink_graph.evaluation.trials import Question, Run
from inftythink_graph.plain_text import escaped, one_line_text

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@cache
def examples() -> tuple[Run, ...]:
    return tuple(example_runs(number=16, samples=2))


@cache
def summaries() -> tuple[RunSummary, ...]:
    return tuple(summarize(run, window=512) for run in examples())


def cells(markdown: str) -> list[list[str]]:
    """The rows of a table as a reader sees them; fails on markup in a cell."""
    rows: list[list[str]] = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            assert rows, "text outside the table"
            assert {child.type for child in token.children or []} <= {"text"}
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def records(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv())))


def test_the_main_table_has_a_row_for_each_run_and_three_columns_for_each_task() -> None:
    other = replace(examples()[0], task="gpqa_diamond")
    table = tables.main_table([*summaries(), summarize(other)])
    header, *rows = cells(table.markdown())
    assert header == [
        "run", "model",
        "long_horizon: accuracy (%)", "long_horizon: tokens", "long_horizon: latency (s)",
        "gpqa_diamond: accuracy (%)", "gpqa_diamond: tokens", "gpqa_diamond: latency (s)",
    ]  # fmt: skip
    assert [row[0] for row in rows] == [run.label for run in examples()]
    assert rows[0][2:5] == rows[0][5:8]
    assert rows[1][5:8] == ["-", "-", "-"]
    found = mean_at_n(examples()[0].trials)
    assert found.value is not None
    assert found.error is not None
    assert rows[0][2] == f"{100 * found.value:.1f} ± {100 * found.error:.1f}"


def test_csv_holds_the_same_numbers_not_rounded_to_be_read() -> None:
    first = records(tables.main_table(summaries()))[0]
    found = mean_at_n(examples()[0].trials)
    assert found.value is not None
    assert float(first["long_horizon: accuracy (%)"]) == pytest.approx(100 * found.value)
    assert float(first["long_horizon: accuracy (%) SE"]) == pytest.approx(100 * (found.error or 0))
    paired = records(tables.paired_table(compare_all(examples()[:2], ["a", "b"])))[0]
    assert (paired["first"], paired["second"], paired["problems"]) == ("a", "b", "16")
    difference = float(paired["second (%)"]) - float(paired["first (%)"])
    assert float(paired["difference"]) == pytest.approx(difference, abs=1e-5)
    assert float(paired["95% interval low"]) <= difference <= float(paired["95% interval high"])
    assert paired["only first solved"] == ""


def test_long_tables_hold_every_measure_group_and_step() -> None:
    found = summaries()
    rows = records(curves_rows(found))
    last = [row for row in rows if row["run"] == found[2].name and row["budget of"] == "tokens"][-1]
    assert float(last["accuracy"]) == pytest.approx(100 * (found[2].accuracy.value or 0))
    assert {row["key"] for row in records(groups_rows(found))} == {"family", "subject", "level", "depth in windows"}
    assert {row["measure"] for row in records(costs_rows(found))} == set(found[0].costs)


def test_tables_by_task_say_accuracy_by_epochs_depth_and_group() -> None:
    found = summaries()
    header, *rows = cells(tables.epochs_table(found).markdown())
    highest = max(each.by_epochs.budgets[-1] for each in found)
    assert header[1:4] == ["1", "2", "4"]
    assert header[-1] == f"{highest:,}"
    assert [row[-1] for row in rows] == [shown(each.accuracy, "percent") for each in found]
    assert cells(tables.depth_table(found).markdown())[0][:3] == ["depth (windows)", "up to 1", "1 to 2"]
    assert cells(tables.group_table(found, "level").markdown())[0] == ["level", "1", "2", "3", "4", "5"]


def test_what_is_not_known_is_a_dash() -> None:
    silent = Run("api", "t", {}, [Question("q", "?", "1")], [trial(contexts=[[(0, 0)]], seconds=0.0)])
    nothing = Run("none", "t", {}, [Question("q", "?", "1")], [])
    found = [summarize(silent), summarize(nothing)]
    rows = cells(tables.main_table(found).markdown())[1:]
    assert rows == [["api", "-", "100.0", "-", "0.00"], ["none", "-", "-", "-", "-"]]
    assert cells(tables.tokens_table(found).markdown())[1][2:5] == ["-", "-", "-"]
    assert cells(tables.time_table(found).markdown())[1][-1] == "-"
    assert cells(tables.outcomes_table(found).markdown())[2][2:] == ["-"] * 9
    assert cells(tables.epochs_table(found).markdown())[2] == ["none", "-"]


@pytest.mark.parametrize(
    ("cell", "kind", "expected"),
    [
        (Estimate(0.71249, 0.02151, 30), "percent", "71.2 ± 2.2"),
        (Estimate(1.0, None, 1), "percent", "100.0"),
        (Estimate(-0.034, 0.011, 30), "points", "-3.4 ± 1.1"),
        (Estimate(0.034, 0.011, 30), "points", "+3.4 ± 1.1"),
        (Estimate(1234567.8, 4321.4, 30), "mean", "1,234,568 ± 4,321"),
        (Estimate(12.34, 0.5, 30), "mean", "12.3 ± 0.50"),
        (Share(3, 1200), "share", "0.2 (3)"),
        ((-0.0123, 0.1), "interval", "-1.2 to +10.0"),
        (0.0004, "p", "< 0.001"),
        (0.05, "p", "0.050"),
        (0.987, "number", "0.99"),
        (98765.4, "number", "98,765"),
        (12345, "count", "12,345"),
        (None, "percent", "-"),
    ],
)
def test_numbers_are_written_to_be_read(cell: Any, kind: Kind, expected: str) -> None:
    assert shown(cell, kind) == expected


@given(st.text(min_size=1))
@settings(deadline=None)
def test_any_label_is_shown_as_it_is_and_never_as_markup(label: str) -> None:
    table = Table([Column(label), Column("n", "count")], [[label, 7]])
    expected = one_line_text(label)
    assert cells(table.markdown()) == [[expected, "n"], [expected, "7"]]


@given(st.text("|\\`*_[]<>&~!#$ab\n", max_size=30))
@settings(deadline=None)
def test_neither_is_a_label_made_of_nothing_but_marks(label: str) -> None:
    assert cells(Table([Column("x" + label)], [[label]]).markdown()) == [
        [one_line_text("x" + label)],
        [one_line_text(label)],
    ]


def test_hostile_labels_survive_in_csv_and_names_stay_readable() -> None:
    table = Table([Column("run")], [[HOSTILE]])
    assert records(table) == [{"run": HOSTILE}]
    assert escaped("gpqa_diamond") == "gpqa_diamond"
    assert "\n" not in escaped(HOSTILE)
    assert "<" not in escaped(HOSTILE)


def test_runs_of_one_label_are_told_apart_by_what_differs() -> None:
    questions = question_set(2)
    runs = [trial_run("inftythink", eta=eta, questions=questions, samples=1) for eta in (1024, 2048)]
    other = trial_run("vanilla", method="vanilla", questions=questions, samples=1)
    elsewhere = replace(runs[0], task="aime24")
    names = run_names([*runs, other, elsewhere])
    assert names == ["inftythink (eta 1,024)", "inftythink (eta 2,048)", "vanilla", "inftythink (eta 1,024)"]
    with pytest.raises(InvalidInputError, match="'inftythink': give them different labels"):
        run_names([runs[0], runs[0]])
    assert run_names([replace(other, label=" \n")]) == ["unnamed"]


def test_files_of_tasks_never_share_a_name() -> None:
    found = slugs(["AIME 24", "aime/24", "../..", "§", "AIME 24"])
    assert list(found) == ["AIME 24", "aime/24", "../..", "§"]
    assert list(found.values()) == ["aime-24", "aime-24-2", "task", "task-2"]


def test_problems_that_differ_are_said_and_not_compared() -> None:
    left = trial_run("a", questions=question_set(4), samples=1)
    right = replace(left, label="b", trials=left.trials[:3])
    pairs = compare_all([left, right], ["a", "b"])
    assert cells(tables.paired_table(pairs).markdown())[1][3:12] == ["-"] * 9
    assert "3 shared of 4" in cells(tables.paired_table(pairs).markdown())[1][12]
    shared = compare_all([left, right], ["a", "b"], shared_only=True)
    row = cells(tables.paired_table(shared).markdown())[1]
    assert (row[3], row[12]) == ("3", "1 problems that aren't shared left out")
    assert row[9:12] == ["0", "0", "1.000"]
    assert compare_all([left, replace(right, task="other")], ["a", "b"]) == []


def test_a_task_is_called_without_its_options_where_it_is_the_only_one_of_its_name() -> None:
    deep, wide = "gcd:windows=1-64,window=256", "gcd:count=9"
    runs = [trial_run("vanilla", task=task, samples=1) for task in (deep, "product:count=9", "math500", "a: b", "c:d")]
    short = shortly(runs)
    assert [each.task for each in short] == ["gcd", "product", "math500", "a: b", "c:d"]
    assert [each.config.get("options") for each in short] == ["windows=1-64,window=256", "count=9", None, None, None]
    assert shortly(short) == short
    for tasks in ((deep, wide), (deep, "gcd")):
        same = [trial_run("vanilla", task=task, samples=1) for task in tasks]
        assert shortly(same) == same
    config = summarize_all(runs)[0].config
    assert (config["options"], config["samples"]) == ("windows=1-64,window=256", runs[0].config["samples"])
