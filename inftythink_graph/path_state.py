"""The schemas of a run of several paths, and what tells its paths apart: their seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NotRequired

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.channels import Topic
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict  # pydantic makes no JSON schema of typing's before Python 3.12

from inftythink_graph.protocol import Content
from inftythink_graph.state import EpochRecord, InftyThinkInput, InftyThinkOutput, InftyThinkState, Settings
from inftythink_graph.status import Status
from inftythink_graph.usage import Usage

__all__ = [
    "SEED_STRIDE",
    "ParallelOutput",
    "ParallelState",
    "PathEnd",
    "PathInput",
    "PathRecord",
    "PathState",
    "VoteCount",
    "path_settings",
]

SEED_STRIDE = 1_000_000
"""Distance between the seeds of two paths: more than the epochs that a path's own seed moves with."""


class PathRecord(TypedDict):
    """How one path ended.

    Attributes:
        path: its 1-based number.
        place: its 1-based place in the order of ending.
        answer: its answer; None where there is none. That of a ``stopped`` path is one that was rejected before.
        conclusion: the closing text that the answer was taken from.
        status: how it ended; ``stopped`` where the outcome was decided without it.
        epochs: number of epochs run; 0 where it was stopped before it began.
        summary: its last summary.
        usage: of this path.
        seed: what its seeds are counted from; None where there is no seed.
        votes: votes for its answer, its own included; 0 where it had no vote.
        error: what the request under way failed with when the outcome was decided already; "" otherwise.
        trace: one record per epoch; only with ``keep_trace=True``.
        verifier_usage: what judging took; only where the verifier says so.
    """

    path: int
    place: int
    answer: str | None
    conclusion: str
    status: Status
    epochs: int
    summary: str
    usage: Usage
    seed: int | None
    votes: int
    error: str
    trace: NotRequired[list[EpochRecord]]
    verifier_usage: NotRequired[Usage]


class PathEnd(TypedDict):
    """What a path brings to the join: its record, and its answer as a message, where it has one."""

    record: PathRecord
    message: AIMessage | None


class VoteCount(TypedDict):
    """A group of equivalent answers: how its quickest path spells it, and the paths that voted for it.

    Paths that ended by asking for tools vote for these calls; their ``answer`` is then the calls as text.
    """

    answer: str
    votes: int
    paths: list[int]


class ParallelOutput(InftyThinkOutput):
    """What a run of several paths returns: the winning path's result, with the usage of all paths.

    Attributes:
        paths: one record per path, by number.
        votes: the groups of equivalent answers, the winner first.
        wall_seconds: wall-clock time of this call of the graph, while ``usage["seconds"]`` is the sum of the time that
            each path spent waiting for the model.
    """

    paths: list[PathRecord]
    votes: list[VoteCount]
    wall_seconds: float


class ParallelState(TypedDict, total=False):
    """The state around the paths. ``width`` is their number, ``ended`` what they bring; it is emptied by the join."""

    question: Content | None
    messages: Annotated[list[AnyMessage], add_messages]
    answer: str | None
    conclusion: str
    status: Status | None
    epochs: int
    summary: str
    usage: Usage
    trace: list[EpochRecord]
    verifier_usage: Usage
    paths: list[PathRecord]
    votes: list[VoteCount]
    wall_seconds: float
    width: int
    ended: Annotated[list[PathEnd], Topic]


class PathInput(InftyThinkInput):
    """What one path is sent: the question, its own number, and the number of paths."""

    path: int
    of: int


class PathState(InftyThinkState, total=False):
    """The loop's state with the path's number, which its seeds depend on."""

    path: int
    of: int


def path_settings(settings: Settings, path: int) -> Settings:
    """The settings of a path: the first one's seeds are those of a run with one path, and no two paths share any."""
    if settings.seed is None:
        return settings
    stride = max(SEED_STRIDE, settings.max_epochs + 2)  # a forced answer takes one seed more
    return replace(settings, seed=settings.seed + (path - 1) * stride)
