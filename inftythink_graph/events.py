"""What a run tells while it goes on: ``graph.stream(..., stream_mode="custom")``.

Every event is a dictionary with its name under ``event`` and the 1-based ``epoch`` that it belongs to. The tokens
themselves come in the mode ``messages``; see :class:`~inftythink_graph.nodes.flow.Caller`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from inftythink_graph.protocol import ParsedKind
from inftythink_graph.status import Status
from inftythink_graph.usage import Usage

__all__ = ["AnswerRejected", "EpochStarted", "Event", "RunEnded", "SegmentDone", "SummaryDone"]


class EpochStarted(TypedDict):
    """The model is about to be asked for a segment, from ``summary`` ("" in the first epoch)."""

    event: Literal["epoch_started"]
    epoch: int
    max_epochs: int
    summary: str


class SegmentDone(TypedDict):
    """A segment has been written. ``usage`` is that of this epoch so far."""

    event: Literal["segment_done"]
    epoch: int
    kind: ParsedKind
    segment: str
    usage: Usage


class SummaryDone(TypedDict):
    """The summary that the next epoch starts from is settled. ``usage`` is that of this epoch."""

    event: Literal["summary_done"]
    epoch: int
    summary: str
    usage: Usage


class AnswerRejected(TypedDict):
    """The verifier turned an answer down, for the ``reason`` given. ``usage`` is that of this epoch."""

    event: Literal["answer_rejected"]
    epoch: int
    answer: str | None
    conclusion: str
    reason: str
    usage: Usage


class RunEnded(TypedDict):
    """The run is over. ``usage`` is that of the whole run."""

    event: Literal["run_ended"]
    epoch: int
    status: Status
    answer: str | None
    conclusion: str
    usage: Usage


Event: TypeAlias = EpochStarted | SegmentDone | SummaryDone | AnswerRejected | RunEnded
