"""Guards around TRL: settings that would undo what the rows are made for, and what its preparation made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import SFTConfig

__all__ = ["check_config", "check_prepared"]


def check_config(config: SFTConfig) -> None:
    """Refuse settings of TRL's that would train on something else than what the graph asks for.

    Raises:
        ValueError: names the setting and what to set instead.
    """
    if config.max_length is None:
        raise ValueError("max_length must be set: rows above it are left out, never cut")
    if config.packing and config.packing_strategy == "wrapped":
        raise ValueError(
            "packing_strategy 'wrapped' cuts rows and lets the samples of a packed row see each other; allowed: bfd"
        )
    if config.completion_only_loss is False:
        raise ValueError("completion_only_loss can't be false: the loss falls on completions, and on nothing else")
    for key, instead in (("chat_template_path", "chat_template"), ("eos_token", "chat_template")):
        if getattr(config, key, None):
            raise ValueError(f"{key} would change the format after the rows were made; set {instead} instead")
    if (config.dataset_kwargs or {}).get("skip_prepare_dataset") and config.packing:
        raise ValueError("dataset_kwargs: skip_prepare_dataset leaves rows unpacked; set packing: false with it")


def check_prepared(prepared: Dataset, funnel: Mapping[str, int]) -> None:
    """Refuse a data set in which TRL's preparation lost a token.

    Args:
        prepared: the trainer's data set, packed or not.
        funnel: the counts of :func:`sft.prepared.prepare`.

    Raises:
        ValueError: tokens, or tokens that the loss falls on, are fewer or more than they were.
    """
    import pyarrow.compute as pc

    # The table itself, chunk by chunk: a data set's own access copies what a shuffle or a filter only points into.
    table = prepared.data
    tokens = sum(pc.sum(pc.list_value_length(chunk)).as_py() or 0 for chunk in table.column("input_ids").chunks)
    learned = sum(
        pc.sum(pc.greater_equal(pc.list_flatten(chunk), 0)).as_py() or 0 for chunk in table.column("labels").chunks
    )
    counts = {
        "rows": (len(prepared), table.num_rows),
        "tokens": (tokens, funnel["tokens"]),
        "completion tokens": (learned, funnel["completion tokens"]),
    }
    for name, (found, expected) in counts.items():
        if found != expected:
            raise ValueError(
                f"TRL's preparation left {found:,} {name} of {expected:,}: rows were cut or left out;"
                " raise max_length, or check the installed version of trl"
            )
