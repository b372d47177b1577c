"""How many rows a source has, where that can be known for less than reading it: what a time left is worked out from."""

from __future__ import annotations

from pathlib import Path

from datasets_build.sources.load import SourceOptions, hub_name, is_local, local_files

__all__ = ["known_rows"]

_PIECE = 1 << 20


def _lines(path: Path) -> int:
    """Lines of a file; a last one without a line feed counts."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            count, last = count + piece.count(b"\n"), piece[-1:]
    return count + (last != b"\n")


def _file_rows(path: Path) -> int | None:
    name = path.name.lower()
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)
    return _lines(path) if name.endswith((".jsonl", ".ndjson")) else None


def _hub_rows(options: SourceOptions) -> int | None:
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetsError

    try:
        builder = load_dataset_builder(hub_name(options.name), options.config, revision=options.revision)
    except (DatasetsError, OSError, ValueError):
        return None  # the reader will say what is wrong, if anything is
    splits = builder.info.splits or {}
    split = options.split or ("train" if "train" in splits else next(iter(splits), None))
    return splits[split].num_examples if split in splits else None


def known_rows(options: SourceOptions) -> int | None:
    """Rows that a run will read; None where it isn't known (compressed files, JSON lists, data sets that don't say)."""
    rows: int | None = 0
    if is_local(options.name):
        for path in local_files(options.name, options.split):
            try:
                found = _file_rows(path)
            except (OSError, ValueError):  # damaged: the reader will say so; pyarrow's errors are ValueErrors
                found = None
            rows = None if rows is None or found is None else rows + found
    else:
        rows = _hub_rows(options)
    if rows is None or options.limit is None:
        return rows
    return min(rows, options.limit)
