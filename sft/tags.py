"""The protocol's tags as single tokens of a model that is there already.

Each tag that the tokenizer splits becomes one token, which starts where the mean of its pieces was. The tokens aren't
marked special: servers leave special tokens out of their replies, and the reasoner has to read the tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inftythink_graph.protocol import TAGS
from sft.arguments import ModelArguments
from sft.embeddings import embedding_names, grow, start_rows
from sft.templates import template_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["add_tag_tokens", "tag_ids", "trained_rows"]


def tag_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The tags that are single tokens of a tokenizer, and their ids."""
    vocabulary = tokenizer.get_added_vocab()
    return {tag: vocabulary[tag] for tag in TAGS if tag in vocabulary}


def add_tag_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Make each tag a single token; those that are so already (``<think>`` in reasoning models) stay as they are.

    The embeddings grow where they have no spare rows. A new token's row, in the input and in the output embedding, is
    the mean of the rows of the pieces that the tag had.

    Args:
        model: the model whose embeddings grow.
        tokenizer: its tokenizer.

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
    grow(model, len(tokenizer))
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
