"""How large a model is: parameters, and the sizes that memory and operations follow from.

Counted on the model itself, built without memory (torch's meta device) from its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import InvalidInputError
from sft.arguments import ModelArguments

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["PUBLIC", "ModelShape", "public_config", "shape_of"]

_QWEN2 = {"model_type": "qwen2", "vocab_size": 151936, "num_hidden_layers": 28, "max_position_embeddings": 4096}
_QWEN25 = {
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 5120,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rope_theta": 1_000_000.0,
}
_1_5B = {"hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2}
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}

PUBLIC: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Qwen/Qwen2.5-Math-1.5B": {**_QWEN2, **_1_5B, "tie_word_embeddings": True, "rope_theta": 10_000.0},
        "Qwen/Qwen2.5-Math-7B": {
            **_QWEN2,
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "tie_word_embeddings": False,
            "rope_theta": 10_000.0,
        },
        "Qwen/Qwen2.5-14B": {**_QWEN25, "num_hidden_layers": 48, "intermediate_size": 13824},
        "Qwen/Qwen2.5-32B": {**_QWEN25, "num_hidden_layers": 64, "intermediate_size": 27648},
        "meta-llama/Llama-3.1-8B": {
            "model_type": "llama",
            "vocab_size": 128256,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 131072,
            "rope_parameters": _LLAMA3_ROPE,
        },
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": {
            **_QWEN2,
            **_1_5B,
            "tie_word_embeddings": False,
            "max_position_embeddings": 131072,
            "rope_theta": 10_000.0,
        },
        "Qwen/Qwen3-4B-Base": {
            "model_type": "qwen3",
            "vocab_size": 151936,
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "tie_word_embeddings": True,
            "max_position_embeddings": 32768,
            "rope_theta": 1_000_000.0,
        },
    }
)
"""Sizes from the published ``config.json`` of the recipes' bases, so that an estimate needs no download."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a model.

    Attributes:
        parameters: all weights; shared ones count once.
        head: weights of the output layer (vocabulary x hidden), also where it shares the input embedding.
        embeddings: weights of the input embedding, which cost no multiplications.
        tied: input embedding and output layer are one.
        trained: weights that are trained: all, or those of adapters.
        layers, hidden, vocab: as in the configuration.
        queries, keys: width of all query heads, and of all key (or value) heads.
        inner: width inside the feed-forward part.
        window: context window in tokens, before a recipe changes it; None where none is named.
    """

    parameters: int
    head: int
    embeddings: int
    tied: bool
    trained: int
    layers: int
    hidden: int
    vocab: int
    queries: int
    keys: int
    inner: int
    window: int | None

    @property
    def multiplied(self) -> int:
        """Weights that every token is multiplied with."""
        return self.parameters - self.embeddings + (self.head if self.tied else 0)


def public_config(name: str) -> PretrainedConfig | None:
    """The configuration of one of the recipes' bases; None for any other name."""
    if name not in PUBLIC:
        return None
    from transformers import AutoConfig

    values = dict(PUBLIC[name])
    theta = values.pop("rope_theta", None)
    if theta is not None:
        values["rope_parameters"] = {"rope_type": "default", "rope_theta": theta}
    return AutoConfig.for_model(values.pop("model_type"), **values)


def _adapters(model: PreTrainedModel, options: ModelArguments) -> int:
    """Weights that LoRA adds to a model: rank x (inputs + outputs) of each layer that has an adapter."""
    from torch import nn

    head = model.get_output_embeddings()
    every = "all-linear" in options.lora_target_modules
    whole = options.lora_modules_to_save or []
    trained = 0
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if last in whole:
            trained += sum(weight.numel() for weight in module.parameters())
        elif isinstance(module, nn.Linear) and module is not head and (every or last in options.lora_target_modules):
            trained += options.lora_r * (module.in_features + module.out_features)
    return trained


def shape_of(config: PretrainedConfig, options: ModelArguments) -> ModelShape:
    """The sizes of the model that a configuration describes, and what a recipe trains of it.

    Raises:
        InvalidInputError: transformers has no such language model of its own (one with code from the Hub, for example).
    """
    import torch
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise InvalidInputError(f"the size of a {config.model_type} model can't be counted without loading it")
    # The class itself: from_config would spread the model over all processes under DeepSpeed, and wait for them.
    with torch.device("meta"):
        model = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config)
    text = config.get_text_config()
    heads = int(text.num_attention_heads)
    width = int(getattr(text, "head_dim", None) or text.hidden_size // heads)
    parameters = sum(weight.numel() for weight in model.parameters())
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    return ModelShape(
        parameters=parameters,
        head=head.numel(),
        embeddings=embedding.numel(),
        tied=bool(text.tie_word_embeddings),
        trained=_adapters(model, options) if options.use_peft else parameters,
        layers=int(text.num_hidden_layers),
        hidden=int(text.hidden_size),
        vocab=int(text.vocab_size),
        queries=heads * width,
        keys=int(getattr(text, "num_key_value_heads", None) or heads) * width,
        inner=int(text.intermediate_size),
        window=getattr(text, "max_position_embeddings", None),
    )
