"""The protocol's tags as single tokens of a model that is there already.

Each tag that the tokenizer splits becomes one token, which starts where the mean of its pieces was. The tokens aren't
marked special: servers leave special tokens out of their replies, and the reasoner has to read the tags.

Run as: ``python -m sft.tags BASE --to FOLDER`` to do it once, before training (DeepSpeed ZeRO-3 needs it so).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inftythink_graph.protocol import TAGS
from sft.arguments import ModelArguments
from sft.embeddings import embedding_names, grow, start_rows
from sft.templates import template_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["add_tag_tokens", "main", "tag_ids", "trained_rows"]


def tag_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The tags that are single tokens of a tokenizer, and their ids."""
    vocabulary = tokenizer.get_added_vocab()
    return {tag: vocabulary[tag] for tag in TAGS if tag in vocabulary}


def add_tag_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, vocab_multiple: int = 1
) -> dict[str, int]:
    """Make each tag a single token; those that are so already (``<think>`` in reasoning models) stay as they are.

    The embeddings grow where they have no spare rows. A new token's row, in the input and in the output embedding, is
    the mean of the rows of the pieces that the tag had.

    Args:
        model: the model whose embeddings grow.
        tokenizer: its tokenizer.
        vocab_multiple: the number of rows becomes a multiple of this, as tensor-parallel servers like it.

    Returns:
        The tags that were added and their ids.

    Raises:
        ValueError: the weights are partitioned among processes.
    """
    from transformers import AddedToken

    known = tag_ids(tokenizer)
    pieces = {tag: list(tokenizer(tag, add_special_tokens=False)["input_ids"]) for tag in TAGS if tag not in known}
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in pieces])
    added = {tag: token for tag, token in tag_ids(tokenizer).items() if tag in pieces}
    grow(model, len(tokenizer), vocab_multiple)
    # A tag that is a token of the base vocabulary keeps its own row.
    start_rows(model, {token: pieces[tag] for tag, token in added.items() if pieces[tag] != [token]})
    return added


def trained_rows(
    arguments: ModelArguments, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[int]]:
    """What an adapter must learn of the embeddings: peft's ``trainable_token_indices``; {} where it is nothing.

    These are the tags' tokens, where a recipe makes tags tokens, and those of a template that replaced the base's own:
    an adapter leaves all other rows as they are, and a base model may never have seen these.
    """
    rows: set[int] = set()
    if arguments.tags == "tokens":
        rows.update(tag_ids(tokenizer).values())
    if arguments.chat_template != "keep":
        rows.update(template_tokens(tokenizer))
    return {name: sorted(rows) for name in embedding_names(model)} if rows else {}


def main(argv: Sequence[str] | None = None) -> int:
    """Write a copy of a model in which every tag is one token. Exit code 2 where that can't be done."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", help="checkpoint folder or Hub name")
    parser.add_argument("--to", type=Path, required=True, help="the folder to write")
    parser.add_argument("--vocab-multiple", type=int, default=1, help="embedding rows become a multiple of this")
    args = parser.parse_args(argv)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        if args.vocab_multiple < 1:
            raise ValueError(f"--vocab-multiple must be at least 1, got {args.vocab_multiple}")
        tokenizer = AutoTokenizer.from_pretrained(args.model)
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype="auto")
    except (OSError, ValueError) as error:
        print(f"sft.tags: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        return 2
    added = add_tag_tokens(model, tokenizer, vocab_multiple=args.vocab_multiple)
    model.save_pretrained(args.to)
    tokenizer.save_pretrained(args.to)
    print(f"{len(added)} tokens added ({' '.join(added) or 'none'}); model saved in {args.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
