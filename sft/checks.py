"""What can be known to go wrong before anything expensive starts: one clear line instead of hours lost."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from inftythink_graph.errors import InvalidInputError
from sft.arguments import DataArguments, ModelArguments

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["check_hardware", "check_recipe", "longest_row", "row_limit", "sharding", "warn"]

_ISOLATING = ("sdpa", "eager", "flash_attention_2", "flash_attention_3", "flex_attention")
# Both build a mask of the whole flattened micro-batch; the others know where samples begin.
_WITH_MASK = ("sdpa", "eager")
_PACKAGES = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}


def warn(message: str) -> None:
    """One line on standard error, from the main process only."""
    if os.environ.get("RANK", "0") == "0":
        print(f"sft.train: warning: {message}", file=sys.stderr, flush=True)


def longest_row(data: DataArguments) -> int:
    """The least tokens that a full InftyThink row takes: question and template, summary, segment, next summary."""
    return data.prompt_reserve + data.summary_budget + data.eta + data.summary_budget


def row_limit(config: SFTConfig, window: int | None) -> int:
    """The most tokens of a row that is kept: a packed row may be longer than the window, a sample in it may not."""
    limit = int(config.max_length or 0)
    return min(limit, window) if window else limit


def _check_lengths(data: DataArguments, config: SFTConfig, window: int | None) -> None:
    limit = int(config.max_length or 0)
    if data.method == "inftythink":
        parts = (
            f"eta {data.eta:,} + 2 x summary_budget {data.summary_budget:,} + prompt_reserve {data.prompt_reserve:,}"
            f" = {longest_row(data):,} tokens"
        )
        if longest_row(data) > limit:
            raise InvalidInputError(f"{parts} are over max_length {limit:,}: raise it, or lower eta or summary_budget")
        if window and longest_row(data) > window:
            raise InvalidInputError(
                f"{parts} are over the model's window of {window:,}: lower eta or summary_budget, or widen the window"
                " with context and rope_scaling or rope_theta"
            )
    # A packed row of InftyThink samples may be longer than the window: positions begin anew with every sample.
    if window and limit > window and not (config.packing and data.method == "inftythink"):
        raise InvalidInputError(
            f"max_length {limit:,} is over the model's window of {window:,}: lower it, or widen the window with context"
            " and rope_scaling or rope_theta"
        )


def _check_attention(model: ModelArguments, config: SFTConfig) -> None:
    name = model.attn_implementation
    package = _PACKAGES.get(name)
    if package and find_spec(package) is None:
        raise InvalidInputError(
            f"attn_implementation: {name} needs the package {package.replace('_', '-')}, which isn't installed here;"
            " --attn_implementation sdpa does without it"
        )
    if not (config.packing or config.padding_free):
        return
    if name not in _ISOLATING and not name.startswith("kernels-community/"):
        raise InvalidInputError(
            f"packing with attn_implementation: {name} would not keep packed samples apart;"
            f" allowed: {', '.join(_ISOLATING)}"
        )
    rows = config.per_device_train_batch_size
    if rows > 1 and name in _WITH_MASK:
        warn(
            f"{rows} packed rows in one batch with {name} attention: its mask grows with the square of all their"
            " tokens; per_device_train_batch_size: 1 and more accumulation is faster"
        )


def sharding(config: SFTConfig) -> str:
    """What spreads the weights over the processes, so that none holds them whole: FSDP, ZeRO-3, or "" for nothing."""
    if config.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true", "yes"):
        return "FSDP"
    plugin = config.deepspeed_plugin
    return "ZeRO-3" if plugin is not None and plugin.zero_stage == 3 else ""


def _check_processes(data: DataArguments, model: ModelArguments, config: SFTConfig) -> None:
    spread = sharding(config)
    if data.generation_problems and spread:
        raise InvalidInputError(
            f"generation_problems can't be used with {spread}: no process holds the whole model. Set it to 0 and"
            " evaluate a checkpoint instead"
        )
    if model.muon_learning_rate and (spread or config.deepspeed_plugin is not None):
        raise InvalidInputError(
            "muon_learning_rate needs whole matrices: one process or plain DDP, not FSDP or DeepSpeed"
        )
    if model.use_peft and spread == "ZeRO-3":
        raise InvalidInputError(
            "use_peft with DeepSpeed ZeRO-3 is not supported, its adapters can't be merged here: use FSDP, or one GPU"
        )
    if model.use_peft and spread and (model.tags == "tokens" or model.chat_template != "keep"):
        raise InvalidInputError(
            f"use_peft with tags: tokens or another chat_template trains single rows of the embeddings, which {spread}"
            " can't: use DDP (sft/accelerate/ddp.yaml) or one GPU, or train all weights"
        )


def check_recipe(data: DataArguments, model: ModelArguments, config: SFTConfig, window: int | None) -> None:
    """Check options against each other and against the model's window.

    Args:
        data: what is trained on.
        model: what is trained.
        config: how.
        window: the window that the model is trained in, in tokens; None if unknown.

    Raises:
        InvalidInputError: something that can only go wrong; the message names options that help.
    """
    _check_lengths(data, config, window)
    _check_attention(model, config)
    scratch = not model.model_name_or_path
    if scratch and (model.use_peft or model.rope_scaling != "none" or model.rope_theta or model.rope_factor):
        raise InvalidInputError("use_peft and rope_* change a checkpoint: set model_name_or_path as well")
    _check_processes(data, model, config)


def check_hardware(config: SFTConfig) -> None:
    """Refuse a recipe for a GPU on a machine without one; transformers would train on the CPU without a word.

    Raises:
        InvalidInputError: there is no GPU, and the recipe doesn't say ``use_cpu``; or one process sees several GPUs.
    """
    if config.n_gpu > 1:
        raise InvalidInputError(
            f"one process sees {config.n_gpu} GPUs: start one for each (accelerate launch --config_file"
            f" sft/accelerate/ddp.yaml --num_processes {config.n_gpu} -m sft.train ...), or show it a single one with"
            " CUDA_VISIBLE_DEVICES=0"
        )
    on_cpu = config.use_cpu or os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    if config.device.type == "cpu" and not on_cpu:
        raise InvalidInputError(
            "this machine has no GPU, and the recipe doesn't say use_cpu: true: run it where there is one, or set"
            " use_cpu: true and bf16: false"
        )
