"""The report as one page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inftythink_graph.evaluation.report import tables
from inftythink_graph.evaluation.report.comparisons import ComparedPair
from inftythink_graph.evaluation.report.summary import RunSummary
from inftythink_graph.plain_text import escaped

__all__ = ["Picture", "by_task", "document"]

_ERRORS = "Accuracy is in percent, ± its standard error over problems. A dash stands for what isn't known."
_PAIRED = (
    "Problem by problem: the second run minus the first, in percentage points, ± the standard error of paired"
    " differences; the bootstrap interval; the two-sided p-value of the sign-flip permutation test. Where both runs"
    " have one sample for each problem, McNemar's exact test stands beside it. The p-values are not corrected for"
    " their number."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the page shows: its file, beside the page, and what it shows."""

    task: str
    file: str
    caption: str


def by_task(summaries: Sequence[RunSummary]) -> dict[str, list[RunSummary]]:
    """The runs of each task, in their order."""
    found: dict[str, list[RunSummary]] = {}
    for each in summaries:
        found.setdefault(each.task, []).append(each)
    return found


def _incomplete(summaries: Sequence[RunSummary]) -> list[str]:
    return [
        f"- **Incomplete:** {escaped(each.name)} on {escaped(each.task)} lacks {each.coverage.missing:,} of"
        f" {each.coverage.questions * each.coverage.samples:,} trials. What takes long is missing first, so its figures"
        " may flatter it.\n"
        for each in summaries
        if each.coverage.missing
    ]


def _task(task: str, summaries: Sequence[RunSummary], pictures: Sequence[Picture]) -> list[str]:
    parts = [f"## {escaped(task)}\n", f"Accuracy by epochs allowed.\n\n{tables.epochs_table(summaries).markdown()}"]
    if any(len(each.depths) > 1 for each in summaries):
        parts.append(f"Accuracy by depth.\n\n{tables.depth_table(summaries).markdown()}")
    keys = dict.fromkeys(key for each in summaries for key, groups in each.groups.items() if len(groups) > 1)
    parts += [f"Accuracy by {escaped(key)}.\n\n{tables.group_table(summaries, key).markdown()}" for key in keys]
    parts += [f"![{escaped(picture.caption)}]({picture.file})\n" for picture in pictures]
    return parts


def document(
    summaries: Sequence[RunSummary], pairs: Sequence[ComparedPair], pictures: Mapping[str, Sequence[Picture]]
) -> str:
    """The page.

    Args:
        summaries: of all runs.
        pairs: the runs of one task compared with one another.
        pictures: by task.
    """
    parts = ["# Evaluation\n", f"{_ERRORS}\n"]
    if notes := _incomplete(summaries):
        parts.append("".join(notes))
    parts += [tables.main_table(summaries).markdown()]
    parts += ["## Accuracy\n", tables.accuracy_table(summaries).markdown()]
    parts += [
        "## Cost of one answer\n",
        tables.tokens_table(summaries).markdown(),
        tables.time_table(summaries).markdown(),
    ]
    parts += ["## How trials ended\n", "In percent of all trials, with their number.\n"]
    parts += [tables.outcomes_table(summaries).markdown()]
    if pairs:
        parts += ["## Paired comparison\n", f"{_PAIRED}\n", tables.paired_table(pairs).markdown()]
    for task, found in by_task(summaries).items():
        parts += _task(task, found, pictures.get(task, ()))
    parts += ["## Settings\n", tables.config_table(summaries).markdown()]
    return "\n".join(parts)
