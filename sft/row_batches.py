"""Rows to token ids, many at a time: the ids of :func:`~datasets_build.row_tokens.tokenize_row`, several times as fast.

That function stays the definition. The first rows, and one of every batch, are made by it as well and compared; where
the two differ, the rest is made by it alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from datasets_build.row_tokens import tokenize_row
from inftythink_graph.rendering import prompt_text, rest_of_completion
from sft.token_counts import encode_all

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["tokenize_rows"]

_BATCH = 1000
_CHECKED = 32
Row = Mapping[str, Any]
Tokenized = dict[str, list[int]]


def _plain(row: Row) -> bool:
    """Whether the prompt is whole turns of plain text, which a template takes many at a time."""
    return row["prompt"][-1]["role"] != "assistant" and all(isinstance(each["content"], str) for each in row["prompt"])


def _prompts(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    plain = [list(row["prompt"]) for row in rows if _plain(row)]
    rendered = iter(tokenizer.apply_chat_template(plain, add_generation_prompt=True, tokenize=False) if plain else [])
    return [next(rendered) if _plain(row) else prompt_text(row["prompt"], tokenizer) for row in rows]


def _batch(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> list[Tokenized]:
    prompts = _prompts(rows, tokenizer)
    completions = [
        rest_of_completion(text, str(row["completion"][-1]["content"])) for text, row in zip(prompts, rows, strict=True)
    ]
    ids = encode_all(tokenizer, prompts + completions)
    end = tokenizer.eos_token_id
    return [
        {"input_ids": [*before, *after, end], "labels": [-100] * len(before) + [*after, end]}
        for before, after in zip(ids[: len(rows)], ids[len(rows) :], strict=True)
    ]


def tokenize_rows(rows: Iterable[Row], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[Row, Tokenized]]:
    """Every row with its token ids and labels, in order."""
    source = iter(rows)
    trusted, size = True, _CHECKED
    while batch := list(islice(source, size)):
        if trusted:
            made = _batch(batch, tokenizer)
            checked = batch if size == _CHECKED else batch[-1:]
            trusted = all(
                tokenize_row(row, tokenizer) == item for row, item in zip(checked, made[-len(checked) :], strict=True)
            )
        if not trusted:
            made = [tokenize_row(row, tokenizer) for row in batch]
        yield from zip(batch, made, strict=True)
        size = _BATCH
