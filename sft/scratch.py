"""A small language model from nothing: its tokenizer and its untrained weights.

For models that are made to think about one kind of text only, as the bundled one is. Words of the corpus become single
tokens, every digit stays a token of its own (so that arithmetic can be learned), and any other text still encodes, byte
by byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

from inftythink_graph.protocol import TAGS
from sft.templates import turn_template

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["CHAT_TEMPLATE", "build_model", "build_tokenizer", "model_config"]

_END_OF_TURN, _START_OF_TURN, _PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"

CHAT_TEMPLATE = turn_template(
    rf"'{_START_OF_TURN}' + message['role'] + '\n'", rf"'{_END_OF_TURN}\n'", rf"'{_START_OF_TURN}assistant\n'"
)


def build_tokenizer(
    corpus: Iterable[str], *, vocab_size: int, model_max_length: int, tags_as_tokens: bool = True
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with a chat template.

    Args:
        corpus: texts to learn merges from.
        vocab_size: number of tokens in all, at least 300 (256 bytes, special tokens, tags).
        model_max_length: the model's context window in tokens.
        tags_as_tokens: each of the protocol's tags is one token. They aren't marked special, so decoding keeps them.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < 300:
        raise ValueError(f"vocab_size must be at least 300 (256 bytes, special tokens, tags), got {vocab_size}")
    tokenizer = Tokenizer(models.BPE())
    # A space goes with the word after it, never with a digit: the same digit is then the same token everywhere.
    pieces = Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [_PAD, _START_OF_TURN, _END_OF_TURN]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS) * tags_as_tokens,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(chain(corpus, ["system", "user", "assistant"] * 1000), trainer)
    if tags_as_tokens:
        tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_END_OF_TURN,
        pad_token=_PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=model_max_length,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def model_config(
    vocab_size: int, *, hidden_size: int, num_layers: int, num_heads: int, intermediate_size: int, context: int
) -> PretrainedConfig:
    """The configuration of a Qwen2 model of the given shape with tied embeddings; ``context`` is its window."""
    from transformers import Qwen2Config

    # A base for short contexts: with the usual 10,000, half of a small head's frequencies never turn within the window.
    return Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_heads,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000.0},
        tie_word_embeddings=True,
    )


def build_model(
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden_size: int,
    num_layers: int,
    num_heads: int,
    intermediate_size: int,
    context: int,
    seed: int,
) -> PreTrainedModel:
    """A model as :func:`model_config` describes it, with random weights, for the tokenizer."""
    import torch
    from transformers import GenerationConfig, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = model_config(
        len(tokenizer),
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        intermediate_size=intermediate_size,
        context=context,
    )
    config.bos_token_id, config.eos_token_id = None, tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model
