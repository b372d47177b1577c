"""Training rows as token ids: exactly what the served model reads and writes.

The prompt is rendered by the chat template as a server renders it, and the completion's tokens are appended verbatim,
closed by the end-of-sequence token. The template never sees the completion, so none can delete or rewrite its tags.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datasets_build.row_tokens import tokenize_row
from datasets_build.segmentation.segment import Counter as TokenCounter
from sft.arguments import DataArguments
from sft.row_kinds import row_kind
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
    rows: Iterable[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    *,
    too_long: Literal["drop", "refuse"] = "drop",
) -> tuple[Dataset, Counter[str]]:
    """Tokenize rows for ``SFTTrainer`` and count what happened to them.

    Rows above ``max_length`` are left out whole, never cut: a cut row would lose its summary and its end. So are rows
    whose completion holds the end-of-sequence token: they would teach the model to stop there.

    Raises:
        ValueError: no row is left, or a row is too long and ``too_long`` is ``refuse``.
    """
    from datasets import Dataset
    from tqdm.auto import tqdm

    funnel: Counter[str] = Counter()
    overlong: Counter[str] = Counter()
    longest = 0
    kept: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    for row in tqdm(rows, desc="preparing rows", unit="", disable=None):  # None: silent where nobody watches
        item = tokenize_row(row, tokenizer)
        size = len(item["input_ids"])
        longest = max(longest, size)
        if size > max_length:
            overlong[row_kind(row)] += 1
            continue
        if item["labels"].count(tokenizer.eos_token_id) > 1:
            funnel["rows with the end token inside"] += 1
            continue
        funnel["rows"] += 1
        funnel["rows with a system prompt, which the graph doesn't send"] += row["prompt"][0]["role"] == "system"
        funnel["tokens"] += size
        funnel["completion tokens"] += sum(label >= 0 for label in item["labels"])
        for column, values in item.items():
            kept[column].append(values)
    if overlong:
        funnel["rows too long"] = overlong.total()
        funnel["longest row, in tokens"] = longest
        funnel.update({f"too long: {kind}": number for kind, number in sorted(overlong.items())})
    if not kept["input_ids"]:
        ended = funnel["rows with the end token inside"]
        also = f", and {ended} hold the end token {tokenizer.eos_token!r} inside" if ended else ""
        raise ValueError(f"none of {overlong.total() + ended} rows fits max_length = {max_length}{also}")
    if overlong and too_long == "refuse":
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(overlong.items()))
        raise ValueError(
            f"{overlong.total()} of {overlong.total() + len(kept['input_ids'])} rows exceed max_length = {max_length}"
            f" tokens ({kinds}; the longest has {longest}): raise max_length, build the rows for it, or set"
            " rows_too_long: drop"
        )
    return Dataset.from_dict(kept), +funnel
