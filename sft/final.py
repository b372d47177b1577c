"""The folder of a finished model: all that it takes to serve it and to use it right."""

from __future__ import annotations

from inftythink_graph.models.base import ModelCard
from sft.arguments import DataArguments

__all__ = ["model_card"]


def model_card(data: DataArguments, context: int) -> ModelCard:
    """What the reasoner must know to use the model right; saved as ``inftythink.json`` beside the weights."""
    if data.method == "vanilla":
        return ModelCard(method="vanilla", context=context, temperature=data.sampling_temperature)
    return ModelCard(
        method="inftythink",
        context=context,
        eta=data.eta,
        summary_budget=data.summary_budget,
        history=data.history,
        temperature=data.sampling_temperature,
    )
