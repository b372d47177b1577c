"""What is trained: a checkpoint, or a small model from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sft.arguments import DataArguments, ModelArguments
from sft.embeddings import grow
from sft.synthetic_rows import corpus
from sft.tags import add_tag_tokens
from sft.template_check import check_template
from sft.templates import set_template

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTConfig

__all__ = ["load_model"]


def load_model(
    data: DataArguments, model: ModelArguments, config: SFTConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model to train and its tokenizer, with the chat template and the tags that the recipe wants.

    Raises:
        ValueError: there is no such model, or its chat template can't be trained on faithfully.
    """
    loaded, tokenizer = _checkpoint(model) if model.model_name_or_path else _from_scratch(data, model, config)
    set_template(model.chat_template, loaded, tokenizer)
    if model.tags == "tokens":
        add_tag_tokens(loaded, tokenizer)
    if model.vocab_multiple > 1:
        grow(loaded, len(tokenizer), model.vocab_multiple)
    check_template(tokenizer, data.protocol())
    return loaded, tokenizer


def _checkpoint(model: ModelArguments) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model.model_name_or_path)
        loaded = AutoModelForCausalLM.from_pretrained(
            model.model_name_or_path, attn_implementation=model.attn_implementation
        )
    except OSError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"model_name_or_path {model.model_name_or_path!r} can't be loaded: {reason}") from error
    return loaded, tokenizer


def _from_scratch(
    data: DataArguments, model: ModelArguments, config: SFTConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from sft.scratch import build_model, build_tokenizer

    context = model.context or config.max_length
    if not context:
        raise ValueError("a model from scratch needs its context window: set 'context' or 'max_length'")
    tokenizer = build_tokenizer(
        corpus(data), vocab_size=model.vocab_size, model_max_length=context, tags_as_tokens=model.tags != "text"
    )
    built = build_model(
        tokenizer,
        hidden_size=model.hidden_size,
        num_layers=model.num_layers,
        num_heads=model.num_heads,
        intermediate_size=model.intermediate_size,
        context=context,
        seed=config.seed,
    )
    return built, tokenizer
