"""The folder of a finished model: all that it takes to serve it and to use it right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.models.base import ModelCard
from inftythink_graph.protocol import TAGS
from inftythink_graph.state import DEFAULT_TEMPERATURE
from sft.arguments import DataArguments, ModelArguments

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTConfig

__all__ = ["cast_weights", "generation_settings", "is_finished", "model_card", "save_final"]


def model_card(
    data: DataArguments,
    context: int,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    base_model: str = "",
    data_fingerprint: str = "",
) -> ModelCard:
    """What the reasoner must know to use the model right; saved as ``inftythink.json`` beside the weights.

    Args:
        data: the recipe.
        context: the model's window in tokens.
        tokenizer: the model's, to tell how it sees the tags.
        base_model: what the model was trained from.
        data_fingerprint: of the training rows.
    """
    known: dict[str, Any] = {"base_model": base_model, "data_fingerprint": data_fingerprint}
    if tokenizer is not None:
        single = all(len(tokenizer(tag, add_special_tokens=False)["input_ids"]) == 1 for tag in TAGS)
        known |= {"tags": "tokens" if single else "text", "protocol_kind": data.protocol().kind}
    if data.method == "vanilla":
        return ModelCard(method="vanilla", context=context, temperature=data.sampling_temperature, **known)
    return ModelCard(
        method="inftythink",
        context=context,
        eta=data.eta,
        summary_budget=data.summary_budget,
        history=data.history,
        temperature=data.sampling_temperature,
        **known,
    )


def generation_settings(
    data: DataArguments, tokenizer: PreTrainedTokenizerBase, ends: int | list[int] | None
) -> dict[str, Any]:
    """The model's ``generation_config.json``: how servers sample from it unless told otherwise.

    Args:
        data: the recipe.
        tokenizer: the model's. Its end-of-sequence token closes every completion that was trained on, so it comes first
            among the tokens that end one.
        ends: the tokens that ended a completion of the model before it was trained.
    """
    before = ends if isinstance(ends, list) else [ends] if ends is not None else []
    all_ends = list(dict.fromkeys([int(tokenizer.eos_token_id), *before]))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    stops = {"eos_token_id": all_ends if len(all_ends) > 1 else all_ends[0], "pad_token_id": int(pad)}
    temperature = DEFAULT_TEMPERATURE if data.sampling_temperature is None else data.sampling_temperature
    if not temperature:
        return {**stops, "do_sample": False}
    nucleus = {} if data.sampling_top_p is None else {"top_p": data.sampling_top_p}
    return {**stops, "do_sample": True, "temperature": temperature, **nucleus}


def is_finished(folder: Path) -> bool:
    """Whether a folder was saved to its end: the card for the hub is its last file."""
    return (folder / "README.md").is_file()


def cast_weights(folder: Path, dtype: str) -> None:
    """Rewrite a model's floating-point weights in another type, one file after the other.

    Args:
        folder: with ``*.safetensors`` and ``config.json``.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
    """
    import torch
    from safetensors.torch import load_file, save_file

    wanted, total = getattr(torch, dtype), 0
    for path in sorted(folder.glob("model*.safetensors")):
        weights = {
            name: tensor.to(wanted) if tensor.is_floating_point() else tensor
            for name, tensor in load_file(path).items()
        }
        total += sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
        temporary = path.with_suffix(".new")
        save_file(weights, temporary, metadata={"format": "pt"})
        temporary.replace(path)
    for name, where in (("config.json", ("dtype",)), ("model.safetensors.index.json", ("metadata", "total_size"))):
        if not (folder / name).is_file():
            continue
        content = json.loads((folder / name).read_text())
        place = content if len(where) == 1 else content.setdefault(where[0], {})
        place[where[-1]] = dtype if name == "config.json" else total
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def save_final(
    trainer: Any, data: DataArguments, model: ModelArguments, config: SFTConfig, card: ModelCard, funnel: dict[str, int]
) -> Path:
    """Save the finished model as ``output_dir``/final: weights, tokenizer with its template, generation configuration,
    cards, picture and log. All processes of a run call it.

    Returns:
        The folder.
    """
    from sft.hub_card import write_hub_card
    from sft.lora import save_finished
    from sft.picture import save_picture
    from sft.run_log import write_log

    output = Path(config.output_dir or ".")
    final = output / "final"
    save_finished(trainer, data, model, final)
    if trainer.is_world_process_zero():
        dtype = data.save_dtype if data.save_dtype != "auto" else "bfloat16" if config.bf16 else ""
        if dtype:
            cast_weights(final, dtype)
        card.write(final)
        history = trainer.state.log_history
        write_log(history, final)
        for folder in (output, final):
            save_picture(history, folder)
        write_hub_card(final, data, model, config, card, history, funnel)
    trainer.accelerator.wait_for_everyone()
    return final
