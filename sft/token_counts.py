"""Counting tokens fast: texts that differ in their digits only are counted once, where that can't be wrong.

Synthetic chains consist of few kinds of lines with ever new numbers in them. Where every digit is a token of its own,
all lines of a kind have the same number of tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["TokenCounts", "digits_stand_alone", "encode_all"]

_SAME_DIGIT = str.maketrans("123456789", "000000000")
_DIGITS = set("0123456789")
_MOST_KEPT = 200_000  # texts; some tens of megabytes
_REPEATS = re.compile(r"\{\d+(?:,\d*)?\}")


def encode_all(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of every text, no special tokens added: ``tokenizer(text)["input_ids"]`` for many texts at once."""
    if not tokenizer.is_fast:
        ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None or backend.padding is not None:  # left switched on by an earlier call
        backend.no_truncation()
        backend.no_padding()
    return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]


def digits_stand_alone(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether no text's number of tokens can depend on which digits stand in it.

    So it is for a BPE tokenizer all of whose tokens with a digit are that one digit: no merge then knows a digit. What
    cuts the text up beforehand must not tell digits apart either.
    """
    if not tokenizer.is_fast:
        return False
    described: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    model = described["model"]
    normalizer = described.get("normalizer")
    if model.get("type") != "BPE" or model.get("dropout") or normalizer not in (None, {"type": "NFC"}):
        return False
    if (
        model.get("continuing_subword_prefix")
        or model.get("end_of_word_suffix")
        or not model["vocab"].keys() >= _DIGITS
    ):
        return False
    tokens = [*model["vocab"], *(token["content"] for token in described["added_tokens"])]
    if any(len(token) > 1 and not _DIGITS.isdisjoint(token) for token in tokens):
        return False
    patterns = _REPEATS.sub("", json.dumps(described.get("pre_tokenizer")))
    return _DIGITS.isdisjoint(patterns)


class TokenCounts:
    """Counts the tokens of texts by a tokenizer: a :data:`~datasets_build.segmentation.segment.Counter`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._by_shape = digits_stand_alone(tokenizer)
        self._known: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, no special tokens added."""
        if not self._by_shape:
            return [len(ids) for ids in encode_all(self._tokenizer, texts)]
        shapes = [text.translate(_SAME_DIGIT) for text in texts]
        new = [shape for shape in dict.fromkeys(shapes) if shape not in self._known]
        if len(self._known) + len(new) > _MOST_KEPT:
            self._known.clear()
            new = list(dict.fromkeys(shapes))
        self._known.update(zip(new, map(len, encode_all(self._tokenizer, new)), strict=True))
        return [self._known[shape] for shape in shapes]
