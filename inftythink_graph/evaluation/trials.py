"""What an evaluation records of one run of a method on one question, and what it knows of the questions themselves.

Everything that metrics and reports say is computed from these records alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

from inftythink_graph.usage import Usage

__all__ = ["AnswerKind", "Question", "Run", "Scoring", "Trace", "TraceEpoch", "Trial", "TrialStatus"]

AnswerKind: TypeAlias = Literal["math", "choice"]
"""``math``: compared by algebra where the text does not tell. ``choice``: the letter of an option."""

TrialStatus: TypeAlias = Literal["answered", "rejected", "exhausted", "stalled", "cut"]
"""As a run's own status; ``cut`` is a single chain that hit its token limit before it concluded."""

Scoring: TypeAlias = Literal["equal", "different", "timed_out"]
"""How the answer compares with the known one; ``timed_out`` counts as wrong, and is reported."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a task.

    Attributes:
        id: unique within its task.
        text: what the model is asked, options of multiple choice included.
        gold: the known answer; a letter for multiple choice.
        kind: how answers to it are compared.
        meta: what else is known, for tables by group: ``subject``, ``level``, ``family``, ``depth_tokens``, ...
    """

    id: str
    text: str
    gold: str
    kind: AnswerKind = "math"
    meta: Mapping[str, Any] = field(default_factory=dict)


class Trial(TypedDict):
    """One answer: a method run once on one question.

    Attributes:
        question: the question's id.
        sample: 0-based number of the sample.
        seed: seed of its sampling.
        answer: the extracted answer; None where there is none.
        scoring: how it compares with the known answer.
        correct: whether it is equal to it.
        status: how the run ended.
        forced: the answer had to be forced after the last epoch.
        malformed: epochs whose completion did not follow the format.
        contexts: for each epoch, in order, its requests: prompt tokens and completion tokens of each.
        usage: of the whole run.
        seconds: wall-clock time of the whole run, queueing included.
    """

    question: str
    sample: int
    seed: int
    answer: str | None
    scoring: Scoring
    correct: bool
    status: TrialStatus
    forced: bool
    malformed: int
    contexts: list[list[tuple[int, int]]]
    usage: Usage
    seconds: float


class TraceEpoch(TypedDict):
    """The text of one epoch; a single chain is one epoch without a summary."""

    kind: str
    segment: str
    summary: str
    conclusion: str


class Trace(TypedDict):
    """The text of one trial, kept beside it where asked for.

    Attributes:
        question: the question's id.
        sample: 0-based number of the sample.
        epochs: in order.
    """

    question: str
    sample: int
    epochs: list[TraceEpoch]


@dataclass(frozen=True, slots=True)
class Run:
    """All trials of one method with one model on one task.

    Attributes:
        label: what tables and pictures call it, for example ``inftythink`` or ``vanilla``.
        task: the task's name.
        config: everything that the trials depend on: ``method``, ``model``, ``samples``, ``temperature``, ``eta``,
            ``max_epochs``, ``max_tokens`` (vanilla), ``seed``, ``revision``, ...
        questions: in the task's order.
        trials: in any order; a run that was cut short lacks some.
        traces: the texts that were kept, by question and sample.
    """

    label: str
    task: str
    config: Mapping[str, Any]
    questions: Sequence[Question]
    trials: Sequence[Trial]
    traces: Mapping[tuple[str, int], Trace] = field(default_factory=dict)
