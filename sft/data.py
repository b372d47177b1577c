"""The rows that a recipe trains on or holds out: made of synthetic problems, or read from a file or the Hub."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets_build.segmentation.segment import Counter as TokenCounter
from sft.arguments import DataArguments
from sft.synthetic_rows import synthetic_rows

__all__ = ["load_rows"]


def load_rows(args: DataArguments, count: TokenCounter) -> Iterable[dict[str, Any]]:
    """The rows that a recipe trains on.

    Raises:
        ValueError: the data set can't be read, or lacks the columns ``prompt`` and ``completion``, or these hold no
            messages.
    """
    if args.dataset == "synthetic":
        rng = random.Random(args.synthetic_seed)
        return (dict(row) for row in synthetic_rows(args, count, rng))
    from datasets import load_dataset
    from datasets.exceptions import DatasetBuildError

    suffix = Path(args.dataset).suffix.lstrip(".")
    loader = {"parquet": "parquet", "jsonl": "json", "json": "json"}.get(suffix)
    try:
        rows = (
            load_dataset(loader, data_files=args.dataset, split="train")
            if loader
            else load_dataset(args.dataset, args.dataset_config or None, split=args.dataset_split)
        )
    except DatasetBuildError as error:
        raise ValueError(f"data set {args.dataset} can't be read as {loader or 'a data set'}: {error}") from error
    if missing := {"prompt", "completion"} - set(rows.column_names):
        raise ValueError(
            f"data set {args.dataset} lacks the columns {sorted(missing)}; it has {rows.column_names}."
            " Training needs 'prompt' and 'completion', as datasets_build writes them"
        )
    for column in ("prompt", "completion") if len(rows) else ():
        if not _is_messages(rows[0][column]):
            raise ValueError(
                f"column {column!r} of data set {args.dataset} holds {str(rows[0][column])[:60]!r}; it must hold a list"
                " of messages, as [{'role': 'user', 'content': '...'}], which is how datasets_build writes it"
            )
    return rows


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, Mapping) and {"role", "content"} <= each.keys() for each in value)
    )
