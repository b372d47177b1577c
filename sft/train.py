"""Supervised fine-tuning on InftyThink instances, or on whole chains, with TRL's ``SFTTrainer``.

Run as: ``python -m sft.train --config sft/recipes/bundled.yaml`` (``--resume`` goes on after a kill). A recipe's keys
are the fields of :class:`~sft.arguments.DataArguments`, :class:`~sft.arguments.ModelArguments` and TRL's ``SFTConfig``;
any other key is an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sft.arguments import DataArguments, ModelArguments
from sft.checkpoints import last_complete_checkpoint
from sft.data import load_rows, tokenized_dataset
from sft.final import model_card
from sft.model import load_model
from sft.prepared import check_config, check_prepared
from sft.recipe import read_recipe
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
    model, tokenizer = load_model(data, model_args, config)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    found = checked_rows(load_rows(data, count), tokenizer)
    rows, funnel = tokenized_dataset(found, tokenizer, int(config.max_length or 0), too_long=data.rows_too_long)
    print(json.dumps({"data": dict(funnel)}), flush=True)
    if config.packing:  # rows are packed with their neighbours, so neighbours must not be of one problem or family
        rows = rows.shuffle(seed=config.data_seed or config.seed)
    checkpoint = config.resume_from_checkpoint
    if checkpoint == "auto":
        checkpoint = last_complete_checkpoint(Path(config.output_dir or "."))
        print(json.dumps({"resumed_from": checkpoint}), flush=True)
    optimizer = None
    if model_args.muon_learning_rate:
        from sft.muon import muon_and_kwargs

        optimizer = muon_and_kwargs(model_args.muon_learning_rate, config)
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=rows,
        processing_class=tokenizer,
        optimizer_cls_and_kwargs=optimizer,
    )
    if optimizer and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ValueError("muon_learning_rate needs whole matrices: one process or plain DDP, not FSDP or DeepSpeed")
    check_prepared(trainer.train_dataset, funnel)
    trainer.train(resume_from_checkpoint=checkpoint)
    final = Path(config.output_dir or ".") / "final"
    trainer.save_model(str(final))
    context = int(getattr(model.config, "max_position_embeddings", config.max_length))
    model_card(data, context).write(final)
    return final


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 for a recipe that can't be run."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--resume" in arguments:
        arguments.remove("--resume")
        arguments += ["--resume_from_checkpoint", "auto"]
    try:
        final = train(*parse(arguments))
    except (ValueError, FileNotFoundError) as error:
        print(f"sft.train: {error}", file=sys.stderr)
        return 2
    print(f"model saved in {final}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
