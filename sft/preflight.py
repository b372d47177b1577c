"""All checks of a run, before a weight is loaded or a row is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from inftythink_graph.errors import InvalidInputError
from sft.arguments import DataArguments, ModelArguments
from sft.batch import accumulation_steps
from sft.checks import check_hardware, check_recipe, warn
from sft.disk import Footprint, check_output
from sft.scratch import model_config
from sft.shapes import ModelShape, shape_of
from sft.window import own_window, window_changes

if TYPE_CHECKING:
    from transformers import PretrainedConfig
    from trl import SFTConfig

__all__ = ["footprint", "preflight"]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def _checkpoints(config: SFTConfig) -> int:
    """How many checkpoints lie on disk at a time, the one being written included; two where that can't be told."""
    strategy = str(getattr(config.save_strategy, "value", config.save_strategy))
    if strategy == "no":
        return 0
    if config.save_total_limit:
        return int(config.save_total_limit) + 1
    if strategy == "epoch" and config.max_steps <= 0:
        return math.ceil(config.num_train_epochs)
    if strategy == "steps" and (config.max_steps > 0 or config.save_steps < 1):
        share = config.save_steps if config.save_steps < 1 else config.save_steps / config.max_steps
        return max(math.ceil(1 / share), 1)
    return 2


def footprint(shape: ModelShape, dtype: str, config: SFTConfig) -> Footprint:
    """What a run keeps on disk: AdamW has two numbers for every trained weight, of the weight's type."""
    size = _BYTES.get(dtype, 2)  # auto: what the checkpoint has, 2 bytes with all that are usual
    # Adapters are float32 whatever the frozen weights are.
    trained_size = 4 if shape.trained < shape.parameters else size
    checkpoint = shape.trained * trained_size + (0 if config.save_only_model else 2 * shape.trained * trained_size)
    return Footprint(
        checkpoint=checkpoint,
        checkpoints=_checkpoints(config),
        final=shape.parameters * size,
    )


def preflight(data: DataArguments, model: ModelArguments, config: SFTConfig) -> int | None:
    """Check a run and fit its accumulation to the number of processes; returns the window that it trains in.

    Raises:
        ValueError: the run can't work out; see :mod:`sft.checks`, :mod:`sft.batch`, :mod:`sft.window`,
            :mod:`sft.disk`.
    """
    if data.global_batch_size:
        processes = config.distributed_state.num_processes
        config.gradient_accumulation_steps = accumulation_steps(
            data.global_batch_size, processes, config.per_device_train_batch_size
        )
    if model.model_name_or_path:
        from sft.model import checkpoint_config

        configuration = checkpoint_config(model, trust_remote_code=config.trust_remote_code)
        window = window_changes(configuration, model).get("max_position_embeddings") or own_window(configuration)
    else:
        window = model.context or config.max_length
        configuration = model_config(
            model.vocab_size,
            hidden_size=model.hidden_size,
            num_layers=model.num_layers,
            num_heads=model.num_heads,
            intermediate_size=model.intermediate_size,
            context=int(window or 1),
        )
    check_recipe(data, model, config, window)
    check_hardware(config)
    if config.distributed_state.is_local_main_process:
        check_output(Path(config.output_dir or "."), _space(configuration, model, config))
    return window


def _space(configuration: PretrainedConfig, model: ModelArguments, config: SFTConfig) -> Footprint:
    try:
        return footprint(shape_of(configuration, model), model.dtype, config)
    except InvalidInputError as error:  # a model of code from the Hub
        warn(f"{error}: whether the disk has room for its checkpoints isn't checked")
        return Footprint(checkpoint=0, checkpoints=0, final=0)
