"""Training rows as token ids: exactly what the served model reads and writes.

The prompt is rendered by the chat template as a server renders it, and the completion's tokens are appended verbatim,
closed by the end-of-sequence token. The template never sees the completion, so none can delete or rewrite its tags.
Where the template opens the thought itself, the completion goes on after that, as the model does when it is asked.
The trainer and the builder's length check share this one definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inftythink_graph.rendering import prompt_text, rest_of_completion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["row_length", "tokenize_row"]


def _row_ids(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Token ids of the prompt and of the completion with its end."""
    text = prompt_text(row["prompt"], tokenizer)
    written = rest_of_completion(text, row["completion"][-1]["content"])
    prompt_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    completion_ids = tokenizer(written, add_special_tokens=False)["input_ids"]
    return prompt_ids, [*completion_ids, tokenizer.eos_token_id]


def tokenize_row(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Token ids and labels of one row; labels are -100 on the prompt."""
    prompt_ids, completion_ids = _row_ids(row, tokenizer)
    return {"input_ids": [*prompt_ids, *completion_ids], "labels": [-100] * len(prompt_ids) + completion_ids}


def row_length(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the row as it is trained on: prompt, completion and end-of-sequence token."""
    return sum(map(len, _row_ids(row, tokenizer)))
