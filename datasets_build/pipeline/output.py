"""Writes what a build came to, from the journal of examples: rows, funnel, failures, report, picture, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from datasets_build.ordered_pool import ordered_map
from datasets_build.pipeline.data_card import data_card
from datasets_build.pipeline.distributions import Figures
from datasets_build.pipeline.folder import BuildFolder
from datasets_build.pipeline.histograms import histogram_png
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.progress import BuildView
from datasets_build.pipeline.records import Built, Failed, Overlong, read_outcome
from datasets_build.pipeline.report import BuildReport, paid_requests
from datasets_build.pipeline.rows import Rows, row_maker
from datasets_build.pipeline.shards import ShardWriter
from datasets_build.pipeline.summarizers import Summarizers
from datasets_build.sources.funnel import Funnel
from inftythink_graph.files import write_atomically
from inftythink_graph.journal import Journal, read_journal

__all__ = ["write_failed", "write_output"]

LOST_WITH_EXAMPLE = "its example has no summaries"


def write_failed(folder: BuildFolder, order: Iterable[str], outcomes: Journal) -> None:
    """Write ``failed.jsonl``: every example that can't be used, in the order of the source."""
    path = folder.file("failed.jsonl")
    partial = path.with_name(".failed.jsonl.partial")
    with partial.open("w", encoding="utf-8") as file:
        for key in order:
            outcome = read_outcome(outcomes.get(key)) if key in outcomes else None
            if isinstance(outcome, Overlong):
                outcome = outcome.as_failed()
            if isinstance(outcome, Failed):
                file.write(json.dumps(outcome.as_json()["failed"]) + "\n")
    partial.replace(path)


def _built(order: Iterable[str], outcomes: Journal, funnel: Funnel, figures: Figures) -> Iterator[dict[str, Any]]:
    """The records of the examples that bring rows or lose them, in order; the others are counted."""
    for key in order:
        value = outcomes.get(key)
        outcome = read_outcome(value)
        if not isinstance(outcome, Failed):
            funnel.enter("segments", len(outcome.segments))
            if isinstance(outcome, Built):
                figures.segments_per_example.add([len(outcome.segments)])
                figures.attempts.add(outcome.attempts)
            yield value
            continue
        funnel.enter("segments", outcome.segments)
        if outcome.segments:
            funnel.lose("segments", LOST_WITH_EXAMPLE, outcome.segments)
        funnel.lose("examples", outcome.reason, detail=f"{outcome.uuid}: {outcome.detail}")


def _count(rows: Rows, funnel: Funnel, figures: Figures) -> None:
    for stage, fitted in (("instances", rows.inftythink), ("vanilla", rows.vanilla)):
        funnel.enter(stage, len(fitted.rows) + len(fitted.losses))
        for loss in fitted.losses:
            funnel.lose(stage, loss.reason, detail=loss.detail)
    figures.segment_tokens.add(rows.segments)
    figures.summary_tokens.add(rows.summaries)
    figures.summarized_tokens += sum(rows.segments[:-1])
    figures.cuts.update(rows.cuts)
    figures.instance_tokens.add(row["tokens"]["total"] for row in rows.inftythink.rows)
    figures.vanilla_tokens.add(row["tokens"]["total"] for row in rows.vanilla.rows)


def write_output(
    options: BuildOptions,
    folder: BuildFolder,
    order: Iterable[str],
    outcomes: Journal,
    reading: Funnel,
    summarizers: Summarizers,
    view: BuildView,
    make_rows: Callable[[Iterator[dict[str, Any]]], Generator[Rows, None, None]] | None = None,
) -> BuildReport:
    """Write everything, and return the report.

    ``funnel.json`` comes last: where it is there, the rest is as well, and of the same run.

    Args:
        options: of the build.
        folder: where to.
        order: the keys of all examples of the source, in order; each has its record.
        outcomes: the records.
        reading: the funnel up to the examples.
        summarizers: for the report.
        view: told where it stands.
        make_rows: from records to rows, in order; None makes them here, in the processes of the options.
    """
    funnel, figures = Funnel(), Figures()
    funnel.merge(reading)
    folder.file("funnel.json").unlink(missing_ok=True)
    view.say("writing rows")
    records = _built(order, outcomes, funnel, figures)
    made = make_rows(records) if make_rows else ordered_map(row_maker, (options,), records, processes=options.processes)
    with (
        ShardWriter(folder.data, options.shard_rows) as data,
        ShardWriter(folder.vanilla, options.shard_rows) as whole,
        closing(made),
    ):
        for rows in made:
            data.add(rows.inftythink.rows)
            whole.add(rows.vanilla.rows)
            _count(rows, funnel, figures)
    if not options.vanilla:
        shutil.rmtree(folder.vanilla, ignore_errors=True)
    write_failed(folder, order, outcomes)
    paid = paid_requests(reply for _, reply in read_journal(folder.requests))
    report = BuildReport(options, funnel, figures, paid, summarizers.model_name)
    prompt = summarizers.prompt.identity if summarizers.prompt else ""
    source = report.comparison()[0][1]
    title = f"{source}, eta {options.eta:,}" + (" (preview: extracts)" if report.preview else "")
    write_atomically(folder.file("histograms.png"), histogram_png(figures, options, title))
    write_atomically(folder.file("report.md"), report.markdown())
    write_atomically(folder.file("report.json"), json.dumps(report.as_json(), indent=2) + "\n")
    write_atomically(folder.file("README.md"), data_card(report, prompt=prompt))
    write_atomically(folder.file("funnel.json"), json.dumps(funnel.as_json(), indent=2) + "\n")
    return report
