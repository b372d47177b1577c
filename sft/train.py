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
from sft.build import build_trainer
from sft.checks import row_limit
from sft.disk import DiskFullError, full_disk_is_one_line
from sft.final import model_card, save_final
from sft.life_arguments import check_life
from sft.model import load_model
from sft.preflight import preflight
from sft.recipe import read_recipe
from sft.row_cache import prepared_rows
from sft.run_record import Run
from sft.trl_guards import check_config, check_prepared
from sft.upload import Upload
from sft.window import own_window

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

    Resumes from the last complete checkpoint in ``output_dir`` when ``resume_from_checkpoint`` is ``"auto"``. Every
    process of a run calls it.

    Raises:
        ValueError: the recipe can't be run, or is not the one that the run was begun with.
        DiskFullError: no room was left for the tokenized rows, a checkpoint or the finished model.
    """
    check_config(config)
    check_life(data, config)
    upload = Upload.planned(config)
    window = preflight(data, model_args, config)
    run = Run.open(data, model_args, config)
    with full_disk_is_one_line(run.folder):
        final = _train(data, model_args, config, run, window)
    upload.send(final)
    return final


def _train(data: DataArguments, model_args: ModelArguments, config: SFTConfig, run: Run, window: int | None) -> Path:
    model, tokenizer = load_model(data, model_args, config)
    with config.main_process_first(desc="preparing rows"):
        rows, cached = prepared_rows(data, tokenizer, row_limit(config, window), run.folder)
    run.check_rows(rows.fingerprint)
    if config.process_index == 0:
        run.write(rows.fingerprint)
        said = {"data": dict(rows.funnel), "fingerprint": rows.fingerprint, "from_cache": cached}
        print(json.dumps(said), flush=True)
        if config.resume_from_checkpoint == "auto":
            print(json.dumps({"resumed_from": run.checkpoint}), flush=True)
    context = own_window(model.config) or int(config.max_length or 0)
    known = {"base_model": model_args.model_name_or_path, "data_fingerprint": rows.fingerprint}
    card = model_card(data, context, tokenizer=tokenizer, **known)
    config.eval_on_start = config.eval_on_start and run.checkpoint is None
    trainer = build_trainer(model, tokenizer, rows, data, model_args, config, card)
    check_prepared(trainer.train_dataset, rows.funnel)
    trainer.train(resume_from_checkpoint=run.checkpoint)
    return save_final(trainer, data, model_args, config, card, dict(rows.funnel))


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
        return _refuse(error, 1, everyone=True)
    if os.environ.get("RANK", "0") == "0":
        print(f"model saved in {final}")
    return 0


def _refuse(error: Exception, code: int, *, everyone: bool = False) -> int:
    # What all processes find is said once on each machine; a full disk may stop a single one.
    if everyone or os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"sft.train: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
