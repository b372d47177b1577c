"""Any data set of long chains of thought, row by row: a Hugging Face name, a local file, a folder or a pattern.

:func:`read_rows` gives the rows, :func:`read_examples` the examples that a :class:`SourceOptions` asks for, counting in
a :class:`~datasets_build.sources.funnel.Funnel` what is left out. Both stream: memory doesn't grow with the data set.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from datasets_build.sources.example_ids import ExampleIds
from datasets_build.sources.examples import Example, Rules, Selection, Verifier, row_examples
from datasets_build.sources.funnel import Funnel
from datasets_build.sources.layouts import LAYOUTS, detect_layout
from datasets_build.sources.losses import Loss, Reason
from datasets_build.sources.row_files import SUFFIXES, Row, file_rows, is_row_file
from inftythink_graph.errors import InvalidInputError, one_line

__all__ = [
    "SourceOptions",
    "hub_name",
    "hub_rows",
    "is_local",
    "local_files",
    "read_examples",
    "read_rows",
    "resolve_rules",
    "source_name",
]

_HEAD = 64
"""Rows that are looked at before a run starts, so that a wrong column is an error at once and not after days."""
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HUB_PREFIX = "hf://datasets/"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Where the chains come from and which are taken.

    Attributes:
        name: a Hugging Face data set's name, or a local file, folder or pattern (``*.jsonl``). A local path goes
            before a data set of the same name; ``hf://datasets/NAME`` always means the latter.
        split: the split; None takes the only one, or ``train``. In a local folder: only files that have it in their
            name or in their folder's; None takes all files.
        config: the data set's configuration (Hugging Face only).
        revision: a branch, tag or commit (Hugging Face only).
        streaming: read while downloading, instead of downloading first (Hugging Face only).
        limit: most rows that are read; None for all.
        selection: as in :class:`~datasets_build.sources.examples.Rules`. None takes the first correct generation where
            the data set says which are correct, and the first usable one where it doesn't.
        correct: leave out what isn't verified as correct; None where the data set says it and ``selection`` is None.
        verifier, complete, min_chars, max_chars, system, layout, columns: as in
            :class:`~datasets_build.sources.examples.Rules`.
    """

    name: str
    split: str | None = None
    config: str | None = None
    revision: str | None = None
    streaming: bool = True
    limit: int | None = None
    selection: Selection | None = None
    verifier: Verifier = "fallback"
    correct: bool | None = None
    complete: bool | None = None
    min_chars: int = 1
    max_chars: int | None = None
    system: Literal["keep", "drop"] = "keep"
    layout: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InvalidInputError(f"limit must be at least 1, got {self.limit}")
        if self.correct is False and (self.selection or "").endswith("_verified"):
            raise InvalidInputError(f"selection {self.selection!r} takes correct generations only: leave correct unset")
        _rules(self, self.selection or "first")


def _rules(options: SourceOptions, selection: Selection, correct: bool | None = None) -> Rules:
    same = {item.name for item in fields(Rules)} & {item.name for item in fields(SourceOptions)}
    shared = {name: getattr(options, name) for name in same - {"selection", "correct"}}
    return Rules(selection=selection, correct=bool(options.correct if correct is None else correct), **shared)


def source_name(name: str) -> str:
    """How a data set is called in the rows made of it: its name, or the file's, without the way there."""
    return (Path(name).name or name) if is_local(name) else hub_name(name)


def hub_name(name: str) -> str:
    """The name on Hugging Face of a data set that isn't local."""
    return name.removeprefix(_HUB_PREFIX)


def is_local(name: str) -> bool:
    """Whether a data set's name means files of this machine, be they there or not."""
    pattern = glob.has_magic(name)
    return not name.startswith(_HUB_PREFIX) and (
        pattern or Path(name).exists() or is_row_file(name) or not _HUB_NAME.fullmatch(name)
    )


def read_rows(
    name_or_path: str,
    *,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    columns: Collection[str] | None = None,
    streaming: bool = True,
    limit: int | None = None,
) -> Iterator[Row]:
    """The rows of a data set in their order, those that can't be read included, each with its reason.

    Args:
        name_or_path, split, config, revision, streaming, limit: as in :class:`SourceOptions`.
        columns: the columns that are needed, where reading fewer is cheaper (parquet, Hugging Face); None reads all.

    Raises:
        InvalidInputError: there is no such data set, split or configuration, a suffix is unknown, or there are no rows.
            Raised while the first row is asked for at the latest, except for a parquet file damaged further on.
    """
    if is_local(name_or_path):
        if config or revision:
            raise InvalidInputError(f"{name_or_path} is a local path: config and revision are for Hugging Face names")
        files = local_files(name_or_path, split)
        rows: Iterator[Row] = itertools.chain.from_iterable(file_rows(path, columns) for path in files)
    else:
        rows = hub_rows(hub_name(name_or_path), split, config, revision, columns, streaming)
    empty = True
    for row in itertools.islice(rows, limit):
        empty = False
        yield row
    if empty:
        raise InvalidInputError(f"{name_or_path} has no rows")


def local_files(name: str, split: str | None) -> list[Path]:
    """The files of a local data set, in their order.

    Args:
        name, split: as in :class:`SourceOptions`.

    Raises:
        InvalidInputError: there are none.
    """
    path = Path(name)
    if path.is_file():
        if not is_row_file(name):
            raise InvalidInputError(f"{name} has an unknown suffix; allowed: {', '.join(SUFFIXES)}")
        return [path]
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if not _is_hidden(file.relative_to(path))]
        root = path
    elif glob.has_magic(name):
        found, root = [Path(file) for file in sorted(glob.glob(name, recursive=True))], Path()
    else:
        raise InvalidInputError(f"{name} doesn't exist: give a Hugging Face name, a file, a folder or a pattern")
    files = [file for file in found if file.is_file() and is_row_file(file.name)]
    if not files:
        raise InvalidInputError(f"{name} matches no file with a known suffix; allowed: {', '.join(SUFFIXES)}")
    if split is None:
        return files
    named = [file for file in files if split in re.split(r"[^A-Za-z0-9]+", str(file.relative_to(root)))]
    if not named:
        raise InvalidInputError(f"no file of {name} has the split {split!r} in its name; files: {_listed(files)}")
    return named


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _listed(files: list[Path]) -> str:
    shown = ", ".join(file.name for file in files[:5])
    return f"{shown} and {len(files) - 5} more" if len(files) > 5 else shown


def hub_rows(
    name: str,
    split: str | None,
    config: str | None,
    revision: str | None,
    columns: Collection[str] | None,
    streaming: bool,
) -> Iterator[Row]:
    """The rows of a data set on Hugging Face; the arguments as in :func:`read_rows`, ``name`` as there.

    Raises:
        InvalidInputError: it can't be read, or has no such split.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        data = load_dataset(name, config, split=split, revision=revision, streaming=streaming)
        if isinstance(data, dict):  # several splits
            if "train" not in data and len(data) > 1:
                raise InvalidInputError(f"data set {name} has no split 'train'; name one of {', '.join(data)}")
            data = data["train"] if "train" in data else next(iter(data.values()))
    except InvalidInputError:
        raise
    # Offline is a ConnectionError, a wrong split a ValueError; a script, which is never run, is a RuntimeError.
    except (DatasetsError, OSError, RuntimeError, ValueError) as error:
        raise InvalidInputError(
            f"data set {name} can't be read: {one_line(error)} (nor is there a local file or folder of that name)"
        ) from error
    names = tuple(data.column_names or ())
    wanted = [column for column in names if columns is None or column in columns]
    if wanted and len(wanted) < len(names):
        data = data.select_columns(wanted)
    for number, values in enumerate(data, 1):
        yield Row(f"{name}, row {number}", values, columns=names)


def _columns_used(options: SourceOptions) -> set[str]:
    """Every column that a row may be read from."""
    known = {name for roles in LAYOUTS.values() for names in roles.values() for name in names}
    return known | set(options.columns.values()) | {"input"}


def resolve_rules(options: SourceOptions, head: list[Row]) -> Rules:
    """The rules of a run, from the options and the first rows of the data set.

    Raises:
        InvalidInputError: none of the rows has a known layout, or a column that the options ask for.
    """
    rows = [row.values for row in head if row.loss is None and isinstance(row.values, Mapping)]
    if not rows:
        loss = next((row.loss for row in head if row.loss), None) or Loss(Reason.NOT_AN_OBJECT)
        raise InvalidInputError(f"none of the first {len(head)} rows of {options.name} can be read: {loss.reason}"
                                + (f" ({loss.detail})" if loss.detail else ""))  # fmt: skip
    seen = dict.fromkeys(str(name) for row in head for name in row.columns)
    seen |= dict.fromkeys(str(name) for row in rows for name in row)
    has = f"the first {len(rows)} rows of {options.name} have the columns {', '.join(seen)}"
    for role, name in options.columns.items():
        if name not in seen:
            raise InvalidInputError(f"there is no column {name!r} (for {role}): {has}")
    layouts = [found for row in rows if (found := detect_layout(row.keys(), options.layout, options.columns))]
    if not layouts:
        wanted = "no known layout fits" if options.layout == "auto" else f"the layout {options.layout!r} doesn't fit"
        raise InvalidInputError(
            f"{wanted}: {has}. Name them, as in columns question=NAME,generation=NAME; layouts: {', '.join(LAYOUTS)}"
        )
    roles = {role for layout in layouts for role in layout.of}
    verifying = {"math_verify", "llama", "correct"}
    if options.verifier in ("math_verify", "llama"):
        verifying = {options.verifier, "correct"}
    says_correct = bool(roles & verifying)
    selection = options.selection or ("first_verified" if says_correct and options.correct is not False else "first")
    rules = _rules(options, selection)
    if rules.needs_correct and not says_correct:
        names = [name for role in sorted(verifying) for name in LAYOUTS["columns"][role]]
        raise InvalidInputError(
            f"selecting correct generations needs one of the columns {', '.join(names)}: {has}."
            " Take the selection 'first' or 'all', or name the column, as in columns correct=NAME"
        )
    if options.complete and not roles & {"complete", "finish_reason"}:
        names = [name for role in ("complete", "finish_reason") for name in LAYOUTS["columns"][role]]
        raise InvalidInputError(f"requiring completeness needs one of the columns {', '.join(names)}: {has}")
    return rules


def read_examples(options: SourceOptions, funnel: Funnel, ids: ExampleIds | None = None) -> Iterator[Example]:
    """The examples of a data set; every row, generation and example is counted.

    The first rows are read before this returns, so that options that don't fit the data set fail at once.

    Args:
        options: where from and what.
        funnel: counts into the stages ``rows``, ``generations`` and ``examples``, while the examples are drawn.
        ids: the ids given so far, where several data sets make up one build; None for one data set alone.

    Raises:
        InvalidInputError: as :func:`read_rows` and :func:`resolve_rules` do.
    """
    used = _columns_used(options)
    rows = read_rows(
        options.name,
        split=options.split,
        config=options.config,
        revision=options.revision,
        columns=used,
        streaming=options.streaming,
        limit=options.limit,
    )
    head = list(itertools.islice(rows, _HEAD))
    rules = resolve_rules(options, head)
    # The head is given up row by row: no list of its rows stays behind.
    return _examples(itertools.chain(head, rows), rules, source_name(options.name), funnel, ids or ExampleIds())


def _examples(rows: Iterator[Row], rules: Rules, source: str, funnel: Funnel, ids: ExampleIds) -> Iterator[Example]:
    for row in rows:
        funnel.enter("rows")
        if row.loss is not None:
            funnel.lose("rows", row.loss.reason, detail=row.loss.detail)
            continue
        outcome = row_examples(row.values, rules, source)
        funnel.enter("generations", outcome.generations)
        for loss in outcome.losses:
            funnel.lose("generations", loss.reason)
        why, given = outcome.loss, 0
        for example in outcome.examples:
            uuid = ids.give(example)
            if uuid is None:
                funnel.lose("generations", Reason.DUPLICATE)
                why = Loss(Reason.DUPLICATE, example.uuid)
                continue
            given += 1
            funnel.enter("examples")
            yield replace(example, uuid=uuid)
        if not given and why is not None:
            detail = f"{row.place}: {why.detail}" if why.detail else row.place
            funnel.lose("rows", why.reason, detail=detail)
