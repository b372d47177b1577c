"""Tables for computing, not for reading: one fact a row. They are written as CSV only."""

from __future__ import annotations

from collections.abc import Sequence

from inftythink_graph.evaluation.metrics import Estimate
from inftythink_graph.evaluation.report.summary import RunSummary
from inftythink_graph.evaluation.report.table import Cell, Column, Table

__all__ = ["costs_rows", "curves_rows", "groups_rows"]

_RUN = (Column("run"), Column("task"))


def costs_rows(summaries: Sequence[RunSummary]) -> Table:
    """Every measure of cost of every run."""
    columns = [*_RUN, Column("measure"), Column("mean", "mean")]
    columns += [Column(name, "number") for name in ("median", "p95", "highest")]
    rows: list[list[Cell]] = [
        [each.name, each.task, measure, found.mean, found.median, found.p95, found.highest]
        for each in summaries
        for measure, found in each.costs.items()
        if found is not None
    ]
    return Table(columns, rows)


def groups_rows(summaries: Sequence[RunSummary]) -> Table:
    """Accuracy of every group of questions: by key and value, and by depth."""
    columns = [*_RUN, Column("key"), Column("value"), Column("problems", "count"), Column("trials", "count")]
    columns += [Column("accuracy", "percent")]
    rows: list[list[Cell]] = []
    for each in summaries:
        for key, groups in each.groups.items():
            for group in groups:
                start = [each.name, each.task, key, group.name]
                rows.append([*start, group.accuracy.problems, group.trials, group.accuracy])
        key = "depth in windows" if each.window > 1 else "depth in tokens"
        for depth in each.depths:
            start = [each.name, each.task, key, f"{depth.low} to {depth.high}"]
            rows.append([*start, depth.accuracy.problems, depth.trials, depth.accuracy])
    return Table(columns, rows)


def curves_rows(summaries: Sequence[RunSummary]) -> Table:
    """Every step of every curve: the accuracy from this budget on."""
    rows: list[list[Cell]] = []
    for each in summaries:
        curves = {"epochs": each.by_epochs, "tokens": each.by_tokens, "squared tokens": each.by_squared_tokens}
        for kind, curve in curves.items():
            for budget, value, error in zip(curve.budgets, curve.accuracies, curve.errors, strict=True):
                rows.append([each.name, each.task, kind, budget, Estimate(value, error, curve.problems)])
    columns = [*_RUN, Column("budget of"), Column("budget", "count"), Column("accuracy", "percent")]
    return Table(columns, rows)
