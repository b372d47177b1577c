"""What a run tells while it goes on: ``graph.stream(..., stream_mode="custom")``.

Every event is a dictionary with its name under ``event`` and the 1-based ``epoch`` that it belongs to. With several
paths, those of a path also have its 1-based number under ``path``, and its end is a ``path_ended``. The tokens
themselves come in the mode ``messages``; see :class:`~inftythink_graph.nodes.flow.Caller`.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from inftythink_graph.protocol import ParsedKind
from inftythink_graph.status import Status
from inftythink_graph.usage import Usage

__all__ = [
    "AnswerRejected",
    "EpochStarted",
    "Event",
    "PathEnded",
    "RunEnded",
    "SegmentDone",
    "StallNoticed",
    "SummaryDone",
]


class EpochStarted(TypedDict):
    """The model is about to be asked for a segment, from ``summary`` ("" in the first epoch)."""

    event: Literal["epoch_started"]
    epoch: int
    max_epochs: int
    summary: str
    path: NotRequired[int]


class SegmentDone(TypedDict):
    """A segment has been written. ``usage`` is that of this epoch so far."""

    event: Literal["segment_done"]
    epoch: int
    kind: ParsedKind
    segment: str
    usage: Usage
    path: NotRequired[int]


class SummaryDone(TypedDict):
    """The summary that the next epoch starts from is settled. ``usage`` is that of this epoch."""

    event: Literal["summary_done"]
    epoch: int
    summary: str
    usage: Usage
    path: NotRequired[int]


class StallNoticed(TypedDict):
    """The summary was one that had been there before, ``repeats`` times in a row: this epoch is sampled hotter."""

    event: Literal["stall_noticed"]
    epoch: int
    repeats: int
    temperature: float
    path: NotRequired[int]


class AnswerRejected(TypedDict):
    """The verifier turned an answer down, for the ``reason`` given. ``usage`` is that of this epoch."""

    event: Literal["answer_rejected"]
    epoch: int
    answer: str | None
    conclusion: str
    reason: str
    usage: Usage
    path: NotRequired[int]


class RunEnded(TypedDict):
    """The run is over. ``usage`` is that of the whole run."""

    event: Literal["run_ended"]
    epoch: int
    status: Status
    answer: str | None
    conclusion: str
    usage: Usage


class PathEnded(TypedDict):
    """One of several paths is over. ``usage`` is that of the path."""

    event: Literal["path_ended"]
    epoch: int
    status: Status
    answer: str | None
    conclusion: str
    usage: Usage
    path: int


Event: TypeAlias = EpochStarted | SegmentDone | StallNoticed | SummaryDone | AnswerRejected | PathEnded | RunEnded
