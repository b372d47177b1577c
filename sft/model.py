"""What is trained: a checkpoint, or a small model from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sft.arguments import DataArguments, ModelArguments
from sft.synthetic_rows import corpus

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTConfig

__all__ = ["load_model"]


def load_model(
    data: DataArguments, model: ModelArguments, config: SFTConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model to train and its tokenizer: a checkpoint, or new ones."""
    if model.model_name_or_path:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(model.model_name_or_path)
            loaded = AutoModelForCausalLM.from_pretrained(
                model.model_name_or_path, attn_implementation=model.attn_implementation
            )
        except OSError as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"model_name_or_path {model.model_name_or_path!r} can't be loaded: {reason}") from error
        if tokenizer.chat_template is None:
            raise ValueError(f"{model.model_name_or_path} has no chat template; set one on its tokenizer first")
        return loaded, tokenizer
    from sft.scratch import build_model, build_tokenizer

    context = model.context or config.max_length
    if not context:
        raise ValueError("a model from scratch needs its context window: set 'context' or 'max_length'")
    tokenizer = build_tokenizer(corpus(data), vocab_size=model.vocab_size, model_max_length=context)
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
