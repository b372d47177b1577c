"""The trace's channel: a list of which a checkpoint stores what a step added, never the whole.

A list that holds its last value would be written anew at every step, so that the checkpoints of a run would grow with
the square of its depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.channels import DeltaChannel
from langgraph.types import Overwrite

__all__ = ["cleared", "closed", "joined", "records_channel"]

_WHOLE_EVERY = 1000
"""Additions after which a checkpoint holds the whole list once: a resumed run reads back no further than that."""


def joined(state: Sequence[Any], additions: Sequence[Sequence[Any]]) -> list[Any]:
    """The list with several additions in their order; it does not matter how they are grouped."""
    return [*state, *(item for addition in additions for item in addition)]


def records_channel() -> DeltaChannel[list[Any]]:
    """A channel that takes lists of records to append, or :func:`cleared`."""
    return DeltaChannel(joined, list, snapshot_frequency=_WHOLE_EVERY)


def cleared() -> Overwrite:
    """The update that empties the channel. What lies before it in a thread is not read again."""
    return Overwrite([])


def closed(records: Sequence[Any], last: Any) -> dict[str, list[Any]]:
    """The update of a run's last step: its record, and the whole trace."""
    # Savers bring tuples back as lists; a run that was resumed returns what it would have returned anyway.
    whole = [{**each, "contexts": [(sent, made) for sent, made in each["contexts"]]} for each in (*records, last)]
    return {"records": [last], "trace": whole}
