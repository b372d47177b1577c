"""Every schema of the graph: input, output, state, per-call context, settings, the record of an epoch, usage."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, get_args

from langgraph.managed import RemainingSteps

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models.base import ModelCard
from inftythink_graph.protocol import Content, ParsedKind, Protocol

__all__ = [
    "DEFAULT_ETA",
    "DEFAULT_SUMMARY_BUDGET",
    "DEFAULT_TEMPERATURE",
    "EpochRecord",
    "InftyThinkContext",
    "InftyThinkInput",
    "InftyThinkOutput",
    "InftyThinkState",
    "OnExhausted",
    "OnRejected",
    "Settings",
    "Status",
    "Usage",
    "add_usage",
    "no_usage",
    "with_request",
]

Status: TypeAlias = Literal["answered", "rejected", "exhausted", "stalled"]
"""How a run ended.

``answered``: with a conclusion that was accepted. ``rejected``: with a conclusion that the verifier turned down.
``exhausted``: out of epochs without an accepted conclusion. ``stalled``: the summaries stopped changing.
"""
OnExhausted: TypeAlias = Literal["force", "return"]
OnRejected: TypeAlias = Literal["note", "restart"]
"""What a rejected answer goes back into the loop with.

``note``: the summary so far, and a note that says why the answer was rejected. ``restart``: the question alone, sampled
with another seed.
"""
ProtocolKind: TypeAlias = Literal["native", "prompted"]

DEFAULT_ETA = 4096
DEFAULT_SUMMARY_BUDGET = 512
DEFAULT_TEMPERATURE = 0.7


class Usage(TypedDict):
    """Tokens and time. A request's context is its prompt and its completion together, in tokens.

    Attributes:
        requests: number of model calls.
        prompt_tokens: tokens of all prompts.
        cached_tokens: those of them that came from the server's prefix cache, where it says so.
        completion_tokens: tokens generated.
        peak_context: the longest context of any request.
        sum_tokens: the sum of all contexts.
        sum_squared_tokens: the sum of their squares: the paper's measure of attention cost (section 3.1).
        seconds: wall-clock time spent waiting for the model.
    """

    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    peak_context: int
    sum_tokens: int
    sum_squared_tokens: int
    seconds: float


def no_usage() -> Usage:
    """Usage before the first request."""
    return Usage(
        requests=0,
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        peak_context=0,
        sum_tokens=0,
        sum_squared_tokens=0,
        seconds=0.0,
    )


def add_usage(left: Usage, right: Usage) -> Usage:
    """Usage of two stretches of a run together: sums, and the higher of the two peaks."""
    return Usage(
        requests=left["requests"] + right["requests"],
        prompt_tokens=left["prompt_tokens"] + right["prompt_tokens"],
        cached_tokens=left["cached_tokens"] + right["cached_tokens"],
        completion_tokens=left["completion_tokens"] + right["completion_tokens"],
        peak_context=max(left["peak_context"], right["peak_context"]),
        sum_tokens=left["sum_tokens"] + right["sum_tokens"],
        sum_squared_tokens=left["sum_squared_tokens"] + right["sum_squared_tokens"],
        seconds=left["seconds"] + right["seconds"],
    )


class EpochRecord(TypedDict):
    """One epoch of the trace.

    Attributes:
        epoch: 1-based number.
        kind: what the completion was (see :class:`~inftythink_graph.protocol.Parsed`).
        segment: the reasoning of this epoch.
        summary: the summary that the next epoch starts from; "" in the last, and where the run starts over after it.
        conclusion: the closing text, "" where there is none.
        answer: the answer extracted from it.
        verdict: why the answer was rejected; "" otherwise.
        contexts: for each request of this epoch, in order, its prompt tokens and its completion tokens.
        usage: of this epoch's requests together.
    """

    epoch: int
    kind: ParsedKind
    segment: str
    summary: str
    conclusion: str
    answer: str | None
    verdict: str
    contexts: list[tuple[int, int]]
    usage: Usage


def with_request(record: EpochRecord, usage: Usage) -> EpochRecord:
    """The record with one more request on it."""
    request = (usage["prompt_tokens"], usage["completion_tokens"])
    return {**record, "contexts": [*record["contexts"], request], "usage": add_usage(record["usage"], usage)}


class InftyThinkInput(TypedDict):
    """What the graph is invoked with: a question, as text or as LangChain content blocks."""

    question: Content


class InftyThinkOutput(TypedDict):
    """What a run returns.

    Attributes:
        answer: the extracted answer; None where there is none.
        conclusion: the closing text that it was taken from; "" where there is none.
        status: how the run ended.
        epochs: number of epochs run.
        summary: the last summary.
        usage: of the whole run, without its verifier.
        trace: one record per epoch; only with ``keep_trace=True``.
        verifier_usage: what judging took; only where a verifier says so, as a model that judges does.
    """

    answer: str | None
    conclusion: str
    status: Status
    epochs: int
    summary: str
    usage: Usage
    trace: NotRequired[list[EpochRecord]]
    verifier_usage: NotRequired[Usage]


class InftyThinkState(TypedDict, total=False):
    """The state between nodes. All keys hold their last value only, so a checkpoint does not grow with depth.

    Beyond input and output: ``asked`` is the question that the counters belong to, ``epoch`` the record under way,
    ``earlier`` the summary that its segment started from, ``repeats`` how often the summary came back unchanged.
    """

    question: Content
    answer: str | None
    conclusion: str
    status: Status | None
    epochs: int
    summary: str
    usage: Usage
    trace: list[EpochRecord]
    verifier_usage: Usage
    asked: Content
    epoch: EpochRecord
    repeats: int
    remaining_steps: RemainingSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class InftyThinkContext:
    """Settings for one call, over those of the graph: ``graph.invoke(..., context=InftyThinkContext(max_epochs=8))``.

    None keeps the graph's own.
    """

    max_epochs: int | None = None
    eta: int | None = None
    summary_budget: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    on_exhausted: OnExhausted | None = None
    on_rejected: OnRejected | None = None
    keep_trace: bool | None = None


def _at_least(name: str, value: float | None, lowest: float) -> None:
    if value is not None and value < lowest:
        raise InvalidInputError(f"{name} must be at least {lowest}, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of a graph, checked. Fields as in :func:`~inftythink_graph.graph.create_inftythink_graph`."""

    max_epochs: int = 50
    eta: int | None = None
    summary_budget: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    protocol: Protocol | None = None
    on_exhausted: OnExhausted = "force"
    on_rejected: OnRejected = "note"
    keep_trace: bool = False
    stall_after: int = 3

    def __post_init__(self) -> None:
        _at_least("max_epochs", self.max_epochs, 1)
        _at_least("eta", self.eta, 1)
        _at_least("summary_budget", self.summary_budget, 1)
        _at_least("temperature", self.temperature, 0)
        _at_least("stall_after", self.stall_after, 2)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InvalidInputError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.on_exhausted not in get_args(OnExhausted):
            raise InvalidInputError(f"on_exhausted must be one of {get_args(OnExhausted)}, got {self.on_exhausted!r}")
        if self.on_rejected not in get_args(OnRejected):
            raise InvalidInputError(f"on_rejected must be one of {get_args(OnRejected)}, got {self.on_rejected!r}")

    def override(self, context: Any) -> Settings:
        """The settings for one call. A context that isn't ours (a parent graph's) is left alone."""
        if not isinstance(context, InftyThinkContext):
            return self
        given = {field.name: getattr(context, field.name) for field in fields(context)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def resolve(self, card: ModelCard | None) -> Resolved:
        """Fill in what the model's card knows: a model trained for InftyThink needs no settings."""
        if card is None or card.method != "inftythink":
            known = ModelCard(method="inftythink", context=0)
            protocol = Protocol(kind="native" if card else "prompted")
        else:
            known, protocol = card, Protocol(history=card.history)
        temperature = self.temperature if self.temperature is not None else known.temperature
        return Resolved(
            eta=self.eta or known.eta or DEFAULT_ETA,
            summary_budget=self.summary_budget or known.summary_budget or DEFAULT_SUMMARY_BUDGET,
            temperature=DEFAULT_TEMPERATURE if temperature is None else temperature,
            protocol=self.protocol or protocol,
        )


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings that depend on the model.

    Attributes:
        eta: most tokens of a segment.
        summary_budget: most tokens of a summary.
        temperature: sampling temperature.
        protocol: the text format.
    """

    eta: int
    summary_budget: int
    temperature: float
    protocol: Protocol
