"""What a recipe takes: memory of each GPU and time, worked out before anything is rented.

Run as: ``python -m sft.estimate --config sft/recipes/paper/qwen2.5-math-7b.yaml --gpus 8``, or with ``--table`` for all
recipes that come with the package.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.arguments import ModelArguments
from sft.memory import Memory, Setup, memory, operations
from sft.recipe import read_recipe
from sft.shapes import ModelShape, public_config, shape_of
from sft.window import window_changes

__all__ = ["RECIPES", "Plan", "least_gpus", "main", "plan", "table"]

RECIPES = Path(__file__).parent / "recipes"
_OF_THE_HUB = ("lora", "paper", "plus")  # folders of recipes for checkpoints that anyone can download

_GIB = 1024**3
# CUDA's context, and what the allocator can't use: our allowance.
_RESERVE, _USABLE = 2 * _GIB, 0.94
_COUNTS = (1, 2, 4, 8, 16, 32)
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "auto": 2}
# Rows of the InftyThink paper's two data sets (arXiv 2503.06692: 220K chains, 333K instances). Their tokens are ours:
# 13,000 characters a chain at about 3 characters a token, and for each of the 113K summaries one written and one read
# of at most 512 tokens and the question once more.
_PAPER = "openr1-inf/"
_ROWS = {"vanilla": 220_000, "inftythink": 333_000}
_TOKENS = {"vanilla": 0.95e9, "inftythink": 1.07e9}


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe's needs.

    Attributes:
        shape: the model.
        memory: of one GPU.
        fits: whether that is within its memory, with an allowance for what can't be used.
        tokens: that are trained on, in all epochs; None where the size of the data isn't known.
        steps: optimizer steps.
        gpu_hours: hours of one GPU.
    """

    shape: ModelShape
    memory: Memory
    fits: bool
    tokens: float | None
    steps: int | None
    gpu_hours: float | None


def _shape(model: ModelArguments) -> ModelShape:
    config = public_config(model.model_name_or_path)
    if config is None:
        from sft.model import checkpoint_config

        config = checkpoint_config(model)
    window_changes(config, model)  # an impossible window is an error here as well
    return shape_of(config, model)


def plan(words: Sequence[str], options: argparse.Namespace, *, gpus: int) -> Plan:
    """Work out a recipe's needs.

    Args:
        words: the recipe and options as ``sft.train`` takes them.
        options: of :func:`main`: memory and speed of a GPU, tokens and rows of the data.
        gpus: their number.

    Raises:
        ValueError: the recipe can't be read, or has no checkpoint to work with.
    """
    # use_cpu, so that a recipe for GPUs can be read on a machine without one.
    data, model, config = read_recipe([*words, "--use_cpu", "true"])
    if not model.model_name_or_path:
        raise ValueError("a model from scratch is too small for an estimate: the recipe has no model_name_or_path")
    shape = _shape(model)
    tokens = int(config.max_length or 0) * config.per_device_train_batch_size
    need = memory(
        shape,
        Setup(
            tokens=tokens,
            weight_bytes=_BYTES[model.dtype],
            processes=gpus,
            sharded=gpus > 1 and options.sharding == "full",
            checkpointing=config.gradient_checkpointing,
            masked=config.packing and model.attn_implementation in ("sdpa", "eager"),
        ),
    )
    batch = data.global_batch_size or gpus * config.per_device_train_batch_size * config.gradient_accumulation_steps
    step = batch * int(config.max_length or 1)
    paper = data.dataset.startswith(_PAPER)
    per_epoch = options.tokens or (_TOKENS[data.method] if paper else None)
    rows = options.rows or (_ROWS[data.method] if paper else None)
    # Without a number of rows: as many tokens a sample as fit.
    sample = per_epoch / rows if per_epoch and rows else float(config.max_length or 1)
    trained = config.max_steps * step if config.max_steps > 0 else per_epoch and per_epoch * config.num_train_epochs
    each = operations(shape, sample, checkpointing=config.gradient_checkpointing)
    return Plan(
        shape=shape,
        memory=need,
        fits=need.total + _RESERVE <= options.gpu_memory * _GIB * _USABLE,
        tokens=trained,
        steps=round(trained / step) if trained else None,
        gpu_hours=trained * each / (options.tflops * 1e12 * options.mfu) / 3600 if trained else None,
    )


def least_gpus(words: Sequence[str], options: argparse.Namespace) -> tuple[int, Plan] | None:
    """The least number of GPUs (of 1, 2, 4, ... 32) that a recipe fits; None where even 32 are too few."""
    for count in _COUNTS:
        found = plan(words, options, gpus=count)
        if found.fits:
            return count, found
    return None


def _gib(number: float) -> str:
    return f"{number / _GIB:,.1f}"


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def table(options: argparse.Namespace) -> str:
    """All recipes for checkpoints on the Hub, as a Markdown table."""
    lines = [
        f"| recipe | parameters | least GPUs of {options.gpu_memory:g} GiB | on each: weights, gradients, optimizer"
        " | activations | working | total, GiB | steps | GPU-hours |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for path in sorted(path for folder in _OF_THE_HUB for path in (RECIPES / folder).glob("*.yaml")):
        if path.stem == "base":
            continue
        found = least_gpus(["--config", str(path)], options)
        if found is None:
            lines.append(f"| `{path.parent.name}/{path.stem}` | | more than {_COUNTS[-1]} | | | | | | |")
            continue
        count, each = found
        need = each.memory
        states = need.weights + need.gradients + need.optimizer
        lines.append(
            f"| `{path.parent.name}/{path.stem}` | {each.shape.parameters / 1e9:.2f}B | {count} | {_gib(states)} |"
            f" {_gib(need.activations)} | {_gib(need.working)} | {_gib(need.total)} | {_count(each.steps)} |"
            f" {_count(each.gpu_hours)} |"
        )
    return "\n".join(lines)


def _report(found: Plan, gpus: int, options: argparse.Namespace) -> str:
    need, shape = found.memory, found.shape
    verdict = "fits" if found.fits else "does NOT fit"
    return "\n".join(
        [
            f"parameters          {shape.parameters:,} ({shape.trained:,} trained)",
            f"weights             {_gib(need.weights):>8} GiB on each GPU",
            f"gradients           {_gib(need.gradients):>8}",
            f"optimizer state     {_gib(need.optimizer):>8}",
            f"activations         {_gib(need.activations):>8}",
            f"working memory      {_gib(need.working):>8}",
            f"total               {_gib(need.total):>8}, {verdict} {gpus} x {options.gpu_memory:g} GiB"
            f" ({_gib(_RESERVE)} GiB and {1 - _USABLE:.0%} kept for CUDA and its allocator)",
            *_time(found, gpus, options),
        ]
    )


def _time(found: Plan, gpus: int, options: argparse.Namespace) -> list[str]:
    if found.gpu_hours is None:
        return ["time                the size of the data isn't known here: --tokens and --rows say it"]
    return [
        f"tokens, steps       {found.tokens:,.0f}, {found.steps:,}",
        f"time                {found.gpu_hours / gpus:>8,.1f} hours, {found.gpu_hours:,.0f} GPU-hours"
        f" (at {options.mfu:.0%} of {options.tflops:g} TFLOPS)",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sft.estimate", description=main.__doc__, epilog="Other options go to the recipe, as with sft.train."
    )
    parser.add_argument("--table", action="store_true", help="all recipes of the package, as a Markdown table")
    parser.add_argument("--gpus", type=int, help="number of GPUs (default: the least of 1, 2, 4, ... that do)")
    parser.add_argument("--gpu-memory", type=float, default=80.0, help="GiB of each (default: %(default)s)")
    parser.add_argument(
        "--sharding",
        choices=("full", "none"),
        default="full",
        help="full: FSDP or ZeRO-3; none: every GPU has the whole model (default: %(default)s)",
    )
    parser.add_argument("--tflops", type=float, default=989.0, help="peak of each in bf16 (default: %(default)s, H100)")
    parser.add_argument(
        "--mfu", type=float, default=0.4, help="share of the peak that is reached (default: %(default)s)"
    )
    parser.add_argument("--tokens", type=float, help="tokens of one epoch (known for the paper's data, about)")
    parser.add_argument("--rows", type=int, help="rows of one epoch (known for the paper's data)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Work out memory and time of a recipe. Exit code 1 where it doesn't fit, 2 for input that can't be used."""
    options, words = _parser().parse_known_args(argv)
    try:
        if options.table:
            print(table(options))
            return 0
        if options.gpus is None:
            found = least_gpus(words, options)
            if found is None:
                raise ValueError(f"{_COUNTS[-1]} GPUs of {options.gpu_memory:g} GiB are too few")
            gpus, needs = found
        else:
            gpus, needs = options.gpus, plan(words, options, gpus=options.gpus)
    except (ValueError, FileNotFoundError) as error:
        print(f"sft.estimate: {error}", file=sys.stderr)
        return 2
    print(_report(needs, gpus, options))
    return 0 if needs.fits else 1


if __name__ == "__main__":
    sys.exit(main())
