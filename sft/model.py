"""What is trained: a checkpoint, or a small model from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sft.arguments import DataArguments, ModelArguments
from sft.embeddings import grow
from sft.final import generation_settings
from sft.synthetic_rows import corpus
from sft.tags import add_tag_tokens
from sft.template_check import check_template
from sft.templates import set_template
from sft.window import window_changes

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTConfig

__all__ = ["checkpoint_config", "load_checkpoint", "load_model", "starting_model"]


def checkpoint_config(model: ModelArguments, *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The configuration of a checkpoint, as it is before the recipe changes its window.

    Raises:
        ValueError: there is none that can be loaded.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(
            model.model_name_or_path, revision=model.model_revision, trust_remote_code=trust_remote_code
        )
    except OSError as error:
        raise _unloadable(model, error) from error


def load_checkpoint(model: ModelArguments, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """The weights of a checkpoint, in the window that the recipe asks for.

    Raises:
        ValueError: there is no such checkpoint, or its window can't be what the recipe asks for.
    """
    from transformers import AutoModelForCausalLM

    changes = window_changes(checkpoint_config(model, trust_remote_code=trust_remote_code), model)
    try:
        return AutoModelForCausalLM.from_pretrained(
            model.model_name_or_path,
            revision=model.model_revision,
            trust_remote_code=trust_remote_code,
            attn_implementation=model.attn_implementation,
            dtype=model.dtype,
            **changes,
        )
    except OSError as error:
        raise _unloadable(model, error) from error


def _unloadable(model: ModelArguments, error: OSError) -> ValueError:
    reason = str(error).partition("\n")[0]
    return ValueError(f"model_name_or_path {model.model_name_or_path!r} can't be loaded: {reason}")


def load_model(
    data: DataArguments, model: ModelArguments, config: SFTConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """:func:`starting_model`, its chat template tried out.

    Raises:
        ValueError: there is no such model, or its chat template can't be trained on faithfully.
    """
    loaded, tokenizer = starting_model(data, model, config)
    check_template(tokenizer, data.protocol())
    return loaded, tokenizer


def starting_model(
    data: DataArguments, model: ModelArguments, config: SFTConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model to train and its tokenizer, with the chat template, the tags and the sampling that the recipe wants.

    Raises:
        ValueError: there is no such model.
    """
    from transformers import GenerationConfig

    loaded, tokenizer = _checkpoint(model, config) if model.model_name_or_path else _from_scratch(data, model, config)
    set_template(model.chat_template, loaded, tokenizer)
    if model.tags == "tokens":
        add_tag_tokens(loaded, tokenizer)
    if model.vocab_multiple > 1:
        grow(loaded, len(tokenizer), model.vocab_multiple)
    # From now on: every checkpoint and the generation check stop and sample as the finished model will.
    ends = loaded.generation_config.eos_token_id
    loaded.generation_config = GenerationConfig(**generation_settings(data, tokenizer, ends))
    return loaded, tokenizer


def _checkpoint(model: ModelArguments, config: SFTConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model.model_name_or_path, revision=model.model_revision, trust_remote_code=config.trust_remote_code
        )
    except OSError as error:
        raise _unloadable(model, error) from error
    return load_checkpoint(model, trust_remote_code=config.trust_remote_code), tokenizer


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
