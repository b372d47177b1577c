"""The batch of one optimizer step, over all processes."""

from __future__ import annotations

from inftythink_graph.errors import InvalidInputError

__all__ = ["accumulation_steps"]


def accumulation_steps(global_batch_size: int, processes: int, per_device: int) -> int:
    """How many micro-batches each process accumulates, so that an optimizer step sees ``global_batch_size`` rows.

    Raises:
        InvalidInputError: the processes can't share the batch evenly; the message names what would do.
    """
    at_once = processes * per_device
    if global_batch_size % at_once:
        allowed = [each for each in range(1, global_batch_size + 1) if global_batch_size % (processes * each) == 0]
        advice = (
            f"per_device_train_batch_size may be {', '.join(map(str, allowed))}"
            if allowed
            else f"use a number of processes that divides it, not {processes}"
        )
        raise InvalidInputError(
            f"global_batch_size {global_batch_size} can't be shared by {processes} processes x"
            f" per_device_train_batch_size {per_device} = {at_once}: {advice}"
        )
    return global_batch_size // at_once
