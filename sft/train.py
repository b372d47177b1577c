"""Supervised fine-tuning on InftyThink instances, or on whole chains, with TRL's ``SFTTrainer``.

Run as: ``python -m sft.train --config sft/recipes/bundled.yaml`` (``--resume`` goes on after a kill). A recipe's keys
are the fields of :class:`~sft.arguments.DataArguments`, :class:`~sft.arguments.ModelArguments` and TRL's ``SFTConfig``;
any other key is an error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sft.arguments import DataArguments, ModelArguments
from sft.checkpoints import last_complete_checkpoint
from sft.checks import row_limit
from sft.data import load_rows, tokenized_dataset
from sft.disk import DiskFullError, full_disk_is_one_line
from sft.final import model_card
from sft.lora import peft_config, save_finished
from sft.model import load_model
from sft.once import clear_prepared, prepared_once
from sft.preflight import preflight
from sft.prepared import check_config, check_prepared
from sft.recipe import read_recipe
from sft.tags import trained_rows
from sft.template_check import checked_rows

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["main", "parse", "train"]


def parse(argv: Sequence[str] | None = None) -> tuple[DataArguments, ModelArguments, SFTConfig]:
    """Read a recipe and the command line, strictly.

    Raises:
        ValueError: a key is unknown (the message names the nearest known one), or a value is not allowed.
        FileNotFoundError: there is no such recipe.
    """
    return read_recipe(sys.argv[1:] if argv is None else argv)


def train(data: DataArguments, model_args: ModelArguments, config: SFTConfig) -> Path:
    """Train and save; returns the folder with the finished model (``output_dir``/final).

    Resumes from the last complete checkpoint in ``output_dir`` when ``resume_from_checkpoint`` is ``"auto"``.
    """
    from trl import SFTTrainer

    check_config(config)
    window = preflight(data, model_args, config)
    model, tokenizer = load_model(data, model_args, config)
    output, state = Path(config.output_dir or "."), config.distributed_state

    def report(**facts: object) -> None:
        if state.is_main_process:
            print(json.dumps(facts), flush=True)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    rows, funnel = prepared_once(
        lambda: tokenized_dataset(
            checked_rows(load_rows(data, count), tokenizer),
            tokenizer,
            row_limit(config, window),
            too_long=data.rows_too_long,
        ),
        output,
        state,
    )
    report(data=dict(funnel))
    if config.packing:  # rows are packed with their neighbours, so neighbours must not be of one problem or family
        rows = rows.shuffle(seed=config.data_seed or config.seed)
    checkpoint = config.resume_from_checkpoint
    if checkpoint == "auto":
        checkpoint = last_complete_checkpoint(output)
        report(resumed_from=checkpoint)
    optimizer = None
    if model_args.muon_learning_rate:
        from sft.muon import muon_and_kwargs

        optimizer = muon_and_kwargs(model_args.muon_learning_rate, config)
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=peft_config(model_args, trained_rows(model_args, model, tokenizer)),
        optimizer_cls_and_kwargs=optimizer,
    )
    if optimizer and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ValueError("muon_learning_rate needs whole matrices: one process or plain DDP, not FSDP or DeepSpeed")
    check_prepared(trainer.train_dataset, funnel)
    final = output / "final"
    with full_disk_is_one_line(output):
        trainer.train(resume_from_checkpoint=checkpoint)
        save_finished(trainer, model_args, final)
        if state.is_main_process:
            context = int(getattr(model.config, "max_position_embeddings", config.max_length))
            model_card(data, context).write(final)
    clear_prepared(output, state)
    return final


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 for a recipe that can't be run, 1 for a run that ran out of disk space."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--estimate" in arguments:
        from sft.estimate import main as estimate

        return estimate([word for word in arguments if word != "--estimate"])
    if "--resume" in arguments:
        arguments.remove("--resume")
        arguments += ["--resume_from_checkpoint", "auto"]
    try:
        final = train(*parse(arguments))
    except (ValueError, FileNotFoundError) as error:
        return _refuse(error, 2)
    except DiskFullError as error:
        return _refuse(error, 1)
    if os.environ.get("RANK", "0") == "0":
        print(f"model saved in {final}")
    return 0


def _refuse(error: Exception, code: int) -> int:
    if os.environ.get("LOCAL_RANK", "0") == "0":  # once on each machine: one disk may be full and another not
        print(f"sft.train: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
