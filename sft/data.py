"""Training rows as token ids: exactly what the served model reads and writes.

The prompt is rendered by the chat template as a server renders it, and the completion's tokens are appended verbatim,
closed by the end-of-sequence token. The template never sees the completion, so none can delete or rewrite its tags.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets_build.segmentation.segment import Counter as TokenCounter
from sft.arguments import DataArguments
from sft.synthetic_rows import problem_rows, synthetic_problems

if TYPE_CHECKING:
    pass

__all__ = ["load_rows"]


def load_rows(args: DataArguments, count: TokenCounter) -> Iterable[dict[str, Any]]:
    """The rows that a recipe trains on.

    Raises:
        ValueError: the data set lacks the columns ``prompt`` and ``completion``.
    """
    if args.dataset == "synthetic":
        rng = random.Random(args.synthetic_seed)
        return (dict(row) for item in synthetic_problems(args) for row in problem_rows(item, args, count, rng))
    from datasets import load_dataset
    from datasets.exceptions import DatasetBuildError

    suffix = Path(args.dataset).suffix.lstrip(".")
    loader = {"parquet": "parquet", "jsonl": "json", "json": "json"}.get(suffix)
    try:
        rows = (
            load_dataset(loader, data_files=args.dataset, split="train")
            if loader
            else load_dataset(args.dataset, split=args.dataset_split)
        )
    except DatasetBuildError as error:
        raise ValueError(f"data set {args.dataset} can't be read as {loader or 'a data set'}: {error}") from error
    if missing := {"prompt", "completion"} - set(rows.column_names):
        raise ValueError(
            f"data set {args.dataset} lacks the columns {sorted(missing)}; it has {rows.column_names}."
            " Training needs 'prompt' and 'completion', as datasets_build writes them"
        )
    return rows
