"""The context window that a checkpoint is trained in: its own, or a wider one with rotary positions to match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import InvalidInputError
from sft.arguments import ModelArguments

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = ["own_window", "window_changes"]


def own_window(config: PretrainedConfig) -> int | None:
    """The window that a checkpoint's configuration names, in tokens; None where it names none."""
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(window) if window else None


def window_changes(config: PretrainedConfig, model: ModelArguments) -> dict[str, Any]:
    """What has to change in a checkpoint's configuration for the window and the positions that a recipe asks for.

    Linear scaling divides every position by the factor (Chen et al. 2023, arXiv 2306.15595), as the RoPE-scaled
    baseline of the InftyThink paper does; ``rope_theta`` changes the base of the frequencies instead.

    Returns:
        Arguments for ``from_pretrained``; empty where the recipe leaves all as it is.

    Raises:
        InvalidInputError: a wider window without a word on positions, a factor without a kind of scaling, or a
            checkpoint whose positions are of another kind or scaled already.
    """
    scaled = model.rope_scaling != "none"
    if model.rope_factor and not scaled:
        raise InvalidInputError("rope_factor needs rope_scaling: linear, dynamic or yarn")
    if not (model.context or scaled or model.rope_theta):
        return {}
    own = own_window(config)
    rope = getattr(config.get_text_config(), "rope_parameters", None)
    if own is None or not isinstance(rope, dict) or "rope_theta" not in rope:
        raise InvalidInputError(
            f"{model.model_name_or_path} has no rotary positions of one kind for all layers:"
            " context, rope_scaling and rope_theta can't be used with it"
        )
    window = model.context or own
    if window > own and not (scaled or model.rope_theta):
        raise InvalidInputError(
            f"context {window:,} is over the window of {model.model_name_or_path}, {own:,} tokens: say what becomes of"
            f" its positions with rope_scaling: linear, or with rope_theta ({rope['rope_theta']:g} leaves them as they"
            " are)"
        )
    rope = dict(rope)
    if model.rope_theta:
        rope["rope_theta"] = float(model.rope_theta)
    if scaled:
        if (kind := rope.get("rope_type", "default")) != "default":
            raise InvalidInputError(f"{model.model_name_or_path} has its positions scaled already ({kind})")
        factor = float(model.rope_factor or window / own)
        if factor <= 1:
            raise InvalidInputError(
                f"rope_scaling: {model.rope_scaling} needs a context above the model's own {own:,} tokens, or a"
                f" rope_factor above 1, got context {window:,} and factor {factor:g}"
            )
        window = model.context or int(own * factor)
        rope |= {"rope_type": model.rope_scaling, "factor": factor}
        if model.rope_scaling != "linear":
            rope["original_max_position_embeddings"] = own
    return {"rope_parameters": rope, "max_position_embeddings": window}
