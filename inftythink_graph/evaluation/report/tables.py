"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inftythink_graph.evaluation.metrics import Estimate, Spread
from inftythink_graph.evaluation.report.comparisons import ComparedPair
from inftythink_graph.evaluation.report.names import shown_value
from inftythink_graph.evaluation.report.summary import RunSummary
from inftythink_graph.evaluation.report.table import Cell, Column, Kind, Table

__all__ = [
    "accuracy_table",
    "config_table",
    "depth_table",
    "epochs_table",
    "group_table",
    "main_table",
    "outcomes_table",
    "paired_table",
    "time_table",
    "tokens_table",
]

_RUN = (Column("run"), Column("task"))
_MAIN: tuple[tuple[str, Kind], ...] = (("accuracy (%)", "percent"), ("tokens", "count"), ("latency (s)", "number"))


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _run(summary: RunSummary) -> tuple[str, str]:
    return summary.name, summary.task


def main_table(summaries: Sequence[RunSummary]) -> Table:
    """The paper's main table: a row for each method and model; for each task accuracy, tokens and latency.

    Tokens are those generated for one answer, latency is the wall-clock time of one answer, both on average.
    """
    tasks = _unique(summary.task for summary in summaries)
    rows: dict[tuple[str, str], dict[str, RunSummary]] = {}
    for summary in summaries:
        key = summary.name, str(summary.config.get("model") or "")
        rows.setdefault(key, {})[summary.task] = summary
    columns = [Column("run"), Column("model")]
    columns += [Column(f"{task}: {name}", kind) for task in tasks for name, kind in _MAIN]
    return Table(
        columns,
        [
            [name, model or None, *(cell for task in tasks for cell in _main_cells(found.get(task)))]
            for (name, model), found in rows.items()
        ],
    )


def _main_cells(summary: RunSummary | None) -> list[Cell]:
    if summary is None:
        return [None, None, None]
    tokens, seconds = _mean(summary, "tokens"), _mean(summary, "seconds")
    return [summary.accuracy, None if tokens is None else round(tokens), seconds]


def _mean(summary: RunSummary, measure: str) -> float | None:
    found = summary.mean(measure)
    return None if found is None else found.value


def accuracy_table(summaries: Sequence[RunSummary]) -> Table:
    """mean@n, maj@n and pass@k of each run, and over how much of it."""
    powers = sorted({k for summary in summaries for k in summary.pass_at if k > 1})
    columns = [*_RUN, Column("problems", "count"), Column("n", "count"), Column("missing trials", "count")]
    columns += [Column("mean@n (%)", "percent"), Column("maj@n (%)", "percent")]
    columns += [Column(f"pass@{k} (%)", "percent") for k in powers]
    return Table(
        columns,
        [
            [
                *_run(each),
                each.coverage.problems,
                each.coverage.samples,
                each.coverage.missing,
                each.accuracy,
                each.majority,
                *(each.pass_at.get(k) for k in powers),
            ]
            for each in summaries
        ],
    )


def _spread(found: Spread | None, *parts: str) -> list[Cell]:
    return [None if found is None else getattr(found, part) for part in parts]


def tokens_table(summaries: Sequence[RunSummary]) -> Table:
    """Tokens generated, epochs, context, and the two sums that the paper measures cost by."""
    columns = [
        *_RUN,
        Column("tokens", "mean"),
        Column("tokens, median", "number"),
        Column("tokens, p95", "number"),
        Column("epochs", "mean"),
        Column("epochs, p95", "number"),
        Column("peak context", "mean"),
        Column("peak context, highest", "number"),
        Column("sum of tokens", "mean"),
        Column("sum of squared tokens", "mean"),
    ]
    return Table(
        columns,
        [
            [
                *_run(each),
                *_spread(each.costs["tokens"], "mean", "median", "p95"),
                *_spread(each.costs["epochs"], "mean", "p95"),
                *_spread(each.costs["peak_context"], "mean", "highest"),
                *_spread(each.costs["sum_tokens"], "mean"),
                *_spread(each.costs["sum_squared_tokens"], "mean"),
            ]
            for each in summaries
        ],
    )


def time_table(summaries: Sequence[RunSummary]) -> Table:
    """Seconds of one trial, queueing included, and the tokens that it generates in a second."""
    columns = [*_RUN, Column("seconds", "mean"), Column("seconds, median", "number"), Column("seconds, p95", "number")]
    columns += [Column("tokens/s of one trial", "number")]
    return Table(
        columns,
        [
            [*_run(each), *_spread(each.costs["seconds"], "mean", "median", "p95"), each.tokens_per_second]
            for each in summaries
        ],
    )


def outcomes_table(summaries: Sequence[RunSummary]) -> Table:
    """How trials ended: in percent of all, with their number."""
    names = _unique(name for summary in summaries for name in summary.outcomes)
    columns = [*_RUN, *(Column(f"{name.replace('_', ' ')} (%)", "share") for name in names)]
    return Table(columns, [[*_run(each), *(each.outcomes[name] for name in names)] for each in summaries])


def _doubling(highest: int) -> list[int]:
    """1, 2, 4, ... and the highest."""
    powers = [1 << power for power in range(max(highest, 1).bit_length())]
    return powers if powers[-1] == highest else [*powers, highest]


def epochs_table(summaries: Sequence[RunSummary]) -> Table:
    """Accuracy by epochs allowed, for the runs of one task."""
    highest = max((each.by_epochs.budgets[-1] for each in summaries if each.by_epochs.budgets), default=1)
    allowed = _doubling(highest)
    columns = [Column("epochs allowed"), *(Column(f"{epochs:,}", "percent") for epochs in allowed)]
    return Table(columns, [[each.name, *(each.by_epochs.at(epochs) for epochs in allowed)] for each in summaries])


def group_table(summaries: Sequence[RunSummary], key: str) -> Table:
    """Accuracy by the values of one key of the questions, for the runs of one task."""
    found = [{group.name: group.accuracy for group in each.groups.get(key, ())} for each in summaries]
    names = _unique(name for groups in found for name in groups)
    columns = [Column(key), *(Column(name, "percent") for name in names)]
    return Table(columns, _by_place(summaries, found, names))


def depth_table(summaries: Sequence[RunSummary]) -> Table:
    """Accuracy by depth, for the runs of one task."""
    found = [{(group.low, group.high): group.accuracy for group in each.depths} for each in summaries]
    ranges = sorted({place for groups in found for place in groups})
    unit = "windows" if summaries[0].window > 1 else "tokens"
    columns = [Column(f"depth ({unit})"), *(Column(_range(*place), "percent") for place in ranges)]
    return Table(columns, _by_place(summaries, found, ranges))


def _by_place(
    summaries: Sequence[RunSummary], found: Sequence[Mapping[Any, Estimate]], places: Sequence[Any]
) -> list[list[Cell]]:
    """A row for each run: its name, and what was found at each place."""
    return [
        [each.name, *(groups.get(place) for place in places)] for each, groups in zip(summaries, found, strict=True)
    ]


def _range(low: int, high: int) -> str:
    return f"up to {high:,}" if low == 0 else f"{low:,} to {high:,}"


def paired_table(pairs: Sequence[ComparedPair]) -> Table:
    """Every two runs of one task on the same problems; the difference is the second minus the first."""
    columns = [
        Column("task"),
        Column("first"),
        Column("second"),
        Column("problems", "count"),
        Column("first (%)", "percent"),
        Column("second (%)", "percent"),
        Column("difference", "points"),
        Column("95% interval", "interval"),
        Column("p", "p"),
        Column("only first solved", "count"),
        Column("only second solved", "count"),
        Column("McNemar p", "p"),
        Column("note"),
    ]
    rows: list[list[Cell]] = []
    for pair in pairs:
        found, start = pair.result, [pair.task, pair.left, pair.right]
        if found is None:
            rows.append([*start, *[None] * 9, pair.note])
            continue
        mcnemar = found.mcnemar
        solved: list[Cell] = [mcnemar.left_only, mcnemar.right_only, mcnemar.p_value] if mcnemar else [None] * 3
        values: list[Cell] = [found.left.problems, found.left, found.right, found.difference, found.interval]
        rows.append([*start, *values, found.p_value, *solved, _note(found.exact, found.left_out)])
    return Table(columns, rows)


def _note(exact: bool, left_out: int) -> str | None:
    notes = [] if exact else ["p drawn at random"]
    notes += [f"{left_out:,} problems that aren't shared left out"] if left_out else []
    return ", ".join(notes) or None


def config_table(summaries: Sequence[RunSummary]) -> Table:
    """What the runs depended on: a row for each run, a column for each setting that any of them has."""
    keys = _unique(key for summary in summaries for key in summary.config)
    columns = [*_RUN, *(Column(key) for key in keys)]
    return Table(columns, [[*_run(each), *(_setting(each.config.get(key)) for key in keys)] for each in summaries])


def _setting(value: Any) -> str | None:
    return None if value is None else shown_value(value)
