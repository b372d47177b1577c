"""The trainer of a run, put together from the recipe and its prepared rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.models.base import ModelCard
from sft.arguments import DataArguments, ModelArguments
from sft.held_out import picked
from sft.lora import complete_head, peft_config
from sft.prepared import Prepared
from sft.tags import trained_rows

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTConfig

__all__ = ["build_trainer", "shuffled"]


def _optimizer(model_args: ModelArguments, config: SFTConfig) -> tuple[Any, dict[str, Any]] | None:
    """The optimizer where it isn't the one that the recipe's ``optim`` names."""
    if not model_args.muon_learning_rate:
        return None
    from sft.muon import muon_and_kwargs

    return muon_and_kwargs(model_args.muon_learning_rate, config)


def shuffled(rows: Dataset, config: SFTConfig) -> Dataset:
    """The rows in the order in which they are packed."""
    return rows.shuffle(seed=config.seed if config.data_seed is None else config.data_seed)


def build_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Prepared,
    data: DataArguments,
    model_args: ModelArguments,
    config: SFTConfig,
    card: ModelCard,
) -> Any:
    """The :class:`~sft.trainer.RunTrainer` of a run.

    Args:
        model, tokenizer: what is trained.
        rows: the prepared rows.
        data, model_args, config: the recipe.
        card: how the model is used; the generation check uses it so.

    Raises:
        ValueError: no problem of the generation check is short enough, or the model's output layer can't be adapted.
    """
    from sft.generation_check import GenerationCheck
    from sft.run_log import LogFiles
    from sft.trainer import RunTrainer

    train = rows.train
    if config.packing:  # rows are packed with their neighbours, so neighbours must not be of one problem or family
        train = shuffled(train, config)
    else:  # tokenized, labelled and within max_length: nothing is left to prepare
        config.dataset_kwargs = {**(config.dataset_kwargs or {}), "skip_prepare_dataset": True}
    config.eval_packing = False
    trainer = RunTrainer(
        model=model,
        args=config,
        train_dataset=train,
        held_out=rows.held_out,
        processing_class=tokenizer,
        peft_config=peft_config(model_args, trained_rows(model_args, model, tokenizer)),
        optimizer_cls_and_kwargs=_optimizer(model_args, config),
    )
    if model_args.use_peft:
        complete_head(trainer.model)
    if data.generation_problems:
        problems = picked(rows.problems, data.generation_problems, data.generation_max_epochs)
        if not rows.problems:
            raise ValueError(
                "generation_problems: no held-out example can be asked. It takes a uuid, the rows of its first and of"
                " its last segment, an answer in the last one, and no system prompt"
            )
        if not problems:
            raise ValueError(
                f"none of {len(rows.problems)} held-out problems is solved within generation_max_epochs ="
                f" {data.generation_max_epochs} segments: raise it, or hold out more"
            )
        bounds = {"every": data.generation_every, "max_epochs": data.generation_max_epochs}
        trainer.add_callback(GenerationCheck(trainer, problems, card, **bounds))
    trainer.add_callback(LogFiles(Path(config.output_dir or ".")))
    return trainer
