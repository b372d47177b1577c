"""Rows as the trainer gets them, from a list of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sft.arguments import DataArguments
from sft.prepared import Sources, prepare

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = ["tokenized"]


def tokenized(
    rows: Iterable[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int, **options: Any
) -> tuple[Dataset, Counter[str]]:
    """The tokenized rows and what happened to them; ``options`` are a recipe's."""
    sources = Sources([dict(row) for row in rows], None, None)
    prepared = prepare(DataArguments(**options), sources, tokenizer, max_length)
    return prepared.train, prepared.funnel
