"""Writing a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.report import long_tables, tables
from inftythink_graph.evaluation.report.comparisons import ComparedPair, compare_all
from inftythink_graph.evaluation.report.document import Picture, by_task, document
from inftythink_graph.evaluation.report.names import run_names, shortly, slugs
from inftythink_graph.evaluation.report.page import write_page
from inftythink_graph.evaluation.report.pictures import PICTURES
from inftythink_graph.evaluation.report.style import looks, new_figure
from inftythink_graph.evaluation.report.summary import RunSummary, common_window, summarize
from inftythink_graph.evaluation.trials import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["summarize_all", "write_report"]


def _files(summaries: Sequence[RunSummary], pairs: Sequence[ComparedPair]) -> Iterator[tuple[str, str]]:
    """Name and content of the files of numbers."""
    yield "main.csv", tables.main_table(summaries).csv()
    yield "accuracy.csv", tables.accuracy_table(summaries).csv()
    yield "costs.csv", long_tables.costs_rows(summaries).csv()
    yield "outcomes.csv", tables.outcomes_table(summaries).csv()
    yield "groups.csv", long_tables.groups_rows(summaries).csv()
    yield "curves.csv", long_tables.curves_rows(summaries).csv()
    if pairs:
        yield "paired.csv", tables.paired_table(pairs).csv()
    content = {"runs": [each.as_json() for each in summaries], "paired": [each.as_json() for each in pairs]}
    yield "report.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _save(figure: Figure, path: Path) -> list[Path]:
    """A figure as PNG and SVG; the same figure makes the same files."""
    from matplotlib import rc_context

    made = [path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "svg")]
    with rc_context({"svg.hashsalt": path.name}):
        figure.savefig(made[0], dpi=150)
        figure.savefig(made[1], metadata={"Date": None})
    return made


def summarize_all(runs: Sequence[Run], *, window: int | None = None) -> list[RunSummary]:
    """The summary of each run, under a name that tells it from the others; depths are in one unit.

    Args:
        runs: of any methods, models and tasks.
        window: tokens of the window that depths are multiples of; by default the smallest in the runs' configs.

    Raises:
        InvalidInputError: two runs can't be told apart, or a sample comes twice.
    """
    unit = common_window(runs) if window is None else window
    runs = shortly(runs)
    return [summarize(run, name=name, window=unit) for run, name in zip(runs, run_names(runs), strict=True)]


def write_report(
    runs: Sequence[Run],
    folder: str | Path,
    *,
    window: int | None = None,
    shared_only: bool = False,
    seed: int = 0,
    max_trajectories: int | None = None,
    summaries: Sequence[RunSummary] | None = None,
) -> list[Path]:
    """Write the report of an evaluation.

    ``report.md`` with its pictures (PNG and SVG), CSV tables, ``report.json``, and ``index.html``, a page of its own on
    which every trial can be looked at (:func:`~inftythink_graph.evaluation.report.page.write_page`).

    The same runs make the same files.

    Args:
        runs: of any methods, models and tasks; those that were cut short are marked as such.
        folder: where to; it is made where it doesn't exist, and files of an earlier report are replaced.
        window: tokens of the window that depths are multiples of; by default the smallest in the runs' configs.
        shared_only: compare runs whose problems differ on those that they share.
        seed: of the draws of the comparisons.
        max_trajectories: how many texts the page holds at most; None for all that were kept.
        summaries: of :func:`summarize_all` for these runs and this window, where they are there already.

    Returns:
        The files, ``report.md`` and ``index.html`` first.

    Raises:
        InvalidInputError: there are no runs, two of them can't be told apart, a sample comes twice, or the folder is a
            file.
        InftyThinkError: matplotlib isn't installed.
    """
    if not runs:
        raise InvalidInputError("nothing to report: there are no runs")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"{folder} is a file: the report needs a folder")
    new_figure(1, 1)  # whoever lacks matplotlib learns it now, not after the numbers
    if summaries is None:
        summaries = summarize_all(runs, window=window)
    runs = shortly(runs)
    names = [each.name for each in summaries]
    pairs = compare_all(runs, names, shared_only=shared_only, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.md"
    written = [page]
    for name, content in _files(summaries, pairs):
        (folder / name).write_text(content, encoding="utf-8")
        written.append(folder / name)
    look_of = looks(names)
    slug_of = slugs(run.task for run in runs)
    pictures: dict[str, list[Picture]] = {}
    for task, found in by_task(summaries).items():
        for kind, (caption, draw) in PICTURES.items():
            if (figure := draw(found, look_of)) is not None:
                files = _save(figure, folder / f"{kind}_{slug_of[task]}")
                pictures.setdefault(task, []).append(Picture(task, files[0].name, caption))
                written += files
    page.write_text(document(summaries, pairs, pictures), encoding="utf-8")
    html = folder / "index.html"
    write_page(
        [replace(run, label=name) for run, name in zip(runs, names, strict=True)],
        html,
        main_table=tables.main_table(summaries).texts(),
        pictures=[
            (f"{each.task}: {each.caption}", (folder / each.file).with_suffix(".svg"))
            for found in pictures.values()
            for each in found
        ],
        max_trajectories=max_trajectories,
    )
    return [page, html, *written[1:]]
