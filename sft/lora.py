"""LoRA: a few million trained parameters beside the frozen ones, merged into them at the end.

So that the finished folder is an ordinary model that any server loads without flags.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sft.arguments import DataArguments, ModelArguments

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel
    from trl import SFTTrainer

__all__ = ["ADAPTER", "complete_head", "merged", "peft_config", "save_finished"]

ADAPTER = "adapter"
"""The folder in ``output_dir`` that keeps the adapter."""


def peft_config(model: ModelArguments, rows: Mapping[str, list[int]] | None = None) -> PeftConfig | None:
    """The adapters that a recipe asks for; None where it trains all weights.

    Args:
        model: the recipe.
        rows: rows of the embeddings that are trained as well, by the embedding's name: see
            :func:`~sft.tags.trained_rows`.
    """
    if not model.use_peft:
        return None
    from trl import ModelConfig, get_peft_config

    found = get_peft_config(
        ModelConfig(
            use_peft=True,
            lora_r=model.lora_r,
            lora_alpha=model.lora_alpha,
            lora_dropout=model.lora_dropout,
            lora_target_modules=list(model.lora_target_modules),
            lora_modules_to_save=model.lora_modules_to_save,
        )
    )
    found.trainable_token_indices = dict(rows) if rows else None
    return found


def complete_head(model: PreTrainedModel) -> None:
    """Give an output layer some of whose rows are trained the attribute that TRL's loss reads beside its weights.

    peft wraps such a layer, shows its weights with the trained rows in them, and nothing else of it.

    Raises:
        ValueError: the layer has a bias, which peft would leave out.
    """
    from peft.utils.other import TrainableTokensWrapper

    head = model.get_output_embeddings()
    if not isinstance(head, TrainableTokensWrapper):
        return
    if head.original_module.bias is not None:
        raise ValueError(
            "the model's output layer has a bias, and single rows of such a layer can't be trained beside adapters:"
            " leave out tags: tokens and chat_template, and prepare the base before (python -m sft.prepare)"
        )
    head.bias = None


def merged(base: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """``base`` with the adapter of a folder merged into its weights; ``base`` is used up."""
    from peft import PeftModel

    return PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()


def save_finished(trainer: SFTTrainer, data: DataArguments, model: ModelArguments, final: Path) -> None:
    """Save what was trained in ``final`` as a whole model; every process calls it, the main one writes.

    An adapter is merged into the weights. Where they are spread over processes (FSDP), the main process loads the base
    once more, since no process holds it whole.
    """
    if trainer.is_fsdp_enabled:  # checkpoints are written in shares, the finished model whole
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    if not model.use_peft:
        trainer.save_model(str(final))
        return
    adapter = final.parent / ADAPTER
    trainer.save_model(str(adapter))
    if trainer.accelerator.is_main_process:
        if trainer.is_fsdp_enabled:
            from sft.model import starting_model

            whole = merged(starting_model(data, model, trainer.args)[0], adapter)
        else:
            whole = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        whole.save_pretrained(str(final))
        trainer.processing_class.save_pretrained(str(final))
        if not model.keep_adapter:
            shutil.rmtree(adapter)
    trainer.accelerator.wait_for_everyone()
