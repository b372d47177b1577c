"""All trials of an evaluation as one HTML file: to be opened from disk, sent by mail, kept beside the records.

The file asks for nothing elsewhere. What models wrote is text: it is packed where no parser of HTML looks into it, and
the page's script makes text nodes of it, nothing else; a content security policy holds the browser to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib.resources import files
from pathlib import Path
from string import Template

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.report._page_data import Place, details, index, ordered, texts_kept
from inftythink_graph.evaluation.report._page_markup import as_json, attribute, figures, packed, policy, shown, table
from inftythink_graph.evaluation.trials import Run

__all__ = ["MAX_CHARACTERS", "write_page"]

MAX_CHARACTERS = 200_000_000
"""How long all texts on a page may be together, where nothing else is said: about as much as a browser opens at ease
(some 80 MB of HTML)."""

_BLOCK = 200_000  # characters of details that are packed together: what is unpacked to show one trial
_SCRIPTS = ("text", "data", "filters", "list", "sawtooth", "question", "trial", "overview", "main")


def write_page(
    runs: Sequence[Run],
    path: Path,
    *,
    main_table: Sequence[Sequence[str]] | None = None,
    pictures: Sequence[tuple[str, Path]] = (),
    max_trajectories: int | None = None,
    max_characters: int = MAX_CHARACTERS,
) -> None:
    """Write the page; a file that is there already is replaced, whole.

    Args:
        runs: all runs; those of the same task are shown beside each other, question by question.
        path: of the HTML file.
        main_table: its first row names the columns, its first column the rows.
        pictures: title and file (SVG or PNG) of each; they become part of the page.
        max_trajectories: how many texts (segments, summaries, conclusions) the page holds at most; None for all that
            were recorded. Sample 0 of every question in every run comes first. Trials whose text is left out are there
            with all that isn't text, and the page says how many they are.
        max_characters: how long all texts may be together.

    Raises:
        InvalidInputError: no runs, trials that don't fit their run's questions, a table with uneven rows, a picture
            that can't be read, or a limit below 0.
    """
    if not runs:
        raise InvalidInputError("no runs to make a page of; give at least one")
    for name, limit in (("max_trajectories", max_trajectories), ("max_characters", max_characters)):
        if limit is not None and limit < 0:
            raise InvalidInputError(f"{name} is {limit}; allowed are 0 and above")
    places = ordered(runs)
    kept, left_out = texts_kept(runs, places, most=max_trajectories, characters=max_characters)
    before, after = _frame(runs, main_table, pictures, _notice(len(kept), left_out))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        starts: list[int] = []
        for first, block in _blocks(runs, places, kept):
            file.write(packed(f"block-{len(starts)}", f"[{','.join(block)}]"))
            starts.append(first)
        file.write(packed("index", as_json(index(runs, places, kept, starts))))
        file.write(after)
    partial.replace(path)


def _blocks(runs: Sequence[Run], places: Sequence[Place], kept: AbstractSet[Place]) -> Iterator[tuple[int, list[str]]]:
    """The details of all trials in order, as JSON, in blocks that are unpacked one at a time.

    Yields:
        the number of the first trial in the block, and the trials'.
    """
    block: list[str] = []
    first = size = 0
    for number, place in enumerate(places):
        text = as_json(details(runs, place, with_text=place in kept))
        if block and size + len(text) > _BLOCK:
            yield first, block
            block, first, size = [], number, 0
        block.append(text)
        size += len(text)
    if block:
        yield first, block


def _frame(
    runs: Sequence[Run], main_table: Sequence[Sequence[str]] | None, pictures: Sequence[tuple[str, Path]], notice: str
) -> tuple[str, str]:
    """What comes before the data and after it."""
    assets = files(__package__) / "assets"
    style = (assets / "page.css").read_text(encoding="utf-8")
    script = "\n".join((assets / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    tasks = ", ".join(dict.fromkeys(run.task for run in runs))
    values = {
        "policy": policy(style, script),
        "style": style,
        "script": script,
        "title": attribute(f"Evaluation: {tasks}"[:120]),
        "notice": shown(notice),
        "no_notice": "" if notice else "hidden",
        "table": table(main_table) if main_table else "",
        "no_table": "" if main_table else "hidden",
        "pictures": figures(pictures),
        "no_pictures": "" if pictures else "hidden",
    }
    before, _, after = (assets / "page.html").read_text(encoding="utf-8").partition("${data}")
    return Template(before).substitute(values), Template(after).substitute(values)


def _notice(kept: int, left_out: int) -> str:
    """What the page says of texts that it lacks."""
    if not left_out:
        return ""
    return (
        f"This page holds the texts of {kept:,} of {kept + left_out:,} trials; those of {left_out:,} were left out"
        " to keep it small. Their answers, verdicts, usage and sawtooth are here."
    )
