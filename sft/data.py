"""Training rows as token ids: exactly what the served model reads and writes.

The prompt is rendered by the chat template as a server renders it, and the completion's tokens are appended verbatim,
closed by the end-of-sequence token. The template never sees the completion, so none can delete or rewrite its tags.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets_build.row_tokens import tokenize_row
from datasets_build.segmentation.segment import Counter as TokenCounter
from sft.arguments import DataArguments
from sft.synthetic_rows import problem_rows, synthetic_problems

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = ["load_rows", "tokenized_dataset"]


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


def tokenized_dataset(
    rows: Iterable[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[Dataset, Counter[str]]:
    """Tokenize rows for ``SFTTrainer`` and count what happened to them.

    Rows above ``max_length`` are left out whole, never cut: a cut row would lose its summary and its end.

    Raises:
        ValueError: no row is left.
    """
    from datasets import Dataset
    from tqdm.auto import tqdm

    funnel: Counter[str] = Counter()
    kept: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    for row in tqdm(rows, desc="preparing rows", unit="", disable=None):  # None: silent where nobody watches
        item = tokenize_row(row, tokenizer)
        size = len(item["input_ids"])
        if size > max_length:
            funnel["rows too long"] += 1
            continue
        funnel["rows"] += 1
        funnel["tokens"] += size
        funnel["completion tokens"] += sum(label >= 0 for label in item["labels"])
        for column, values in item.items():
            kept[column].append(values)
    if not kept["input_ids"]:
        raise ValueError(f"none of {funnel['rows too long']} rows fits max_length = {max_length}")
    return Dataset.from_dict(kept), funnel
