"""The schemas of the graph: input, output, state, per-call context, settings, and the record of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict, get_args

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from langgraph.managed import RemainingSteps

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models.base import ModelCard
from inftythink_graph.protocol import Content, ParsedKind, Protocol
from inftythink_graph.status import Status
from inftythink_graph.usage import Usage, add_usage, no_usage

__all__ = [
    "DEFAULT_ETA",
    "DEFAULT_SUMMARY_BUDGET",
    "DEFAULT_TEMPERATURE",
    "EpochRecord",
    "InftyThinkContext",
    "InftyThinkInput",
    "InftyThinkOutput",
    "InftyThinkState",
    "Settings",
    "Status",
    "Usage",
    "add_usage",
    "no_usage",
    "with_request",
]

OnExhausted: TypeAlias = Literal["force", "return"]
ProtocolKind: TypeAlias = Literal["native", "prompted"]

DEFAULT_ETA = 4096
DEFAULT_SUMMARY_BUDGET = 512
DEFAULT_TEMPERATURE = 0.7


class EpochRecord(TypedDict):
    """One epoch of the trace.

    Attributes:
        epoch: 1-based number.
        kind: what the completion was (see :class:`~inftythink_graph.protocol.Parsed`).
        segment: the reasoning of this epoch.
        summary: the summary that the next epoch starts from; "" in the last.
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


class InftyThinkInput(TypedDict, total=False):
    """What the graph is invoked with: a question, or a conversation.

    Attributes:
        question: a question that stands for itself, as text or as LangChain content blocks.
        messages: a conversation whose last message is to be answered; without ``question``, all of it is the question.
    """

    question: Content | None
    messages: Annotated[list[AnyMessage], add_messages]


class InftyThinkOutput(TypedDict):
    """What a run returns.

    Attributes:
        answer: the extracted answer; None where there is none.
        conclusion: the closing text that it was taken from; "" where there is none.
        status: how the run ended.
        epochs: number of epochs run.
        summary: the last summary.
        usage: of the whole run.
        messages: the conversation with the answer as its last message: an ``AIMessage`` of the conclusion, with the
            usage summed over all epochs, and tool calls where the model asked for any.
        trace: one record per epoch; only with ``keep_trace=True``.
    """

    answer: str | None
    conclusion: str
    status: Status
    epochs: int
    summary: str
    usage: Usage
    messages: Annotated[list[AnyMessage], add_messages]
    trace: NotRequired[list[EpochRecord]]


class InftyThinkState(TypedDict, total=False):
    """The state between nodes. All keys hold their last value only, so a checkpoint does not grow with depth.

    Beyond input and output: ``asked`` identifies the question that the counters belong to, ``epoch`` is the record
    under way, ``tool_calls`` are those that the model ended its reasoning with, ``repeats`` counts how often the
    summary came back unchanged. ``messages`` grows by one answer a run.
    """

    question: Content | None
    messages: Annotated[list[AnyMessage], add_messages]
    answer: str | None
    conclusion: str
    status: Status | None
    epochs: int
    summary: str
    usage: Usage
    trace: list[EpochRecord]
    asked: Content
    epoch: EpochRecord
    tool_calls: list[dict[str, Any]]
    repeats: int
    remaining_steps: RemainingSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class InftyThinkContext:
    """Settings for one call, over those of the graph: ``graph.invoke(..., context=InftyThinkContext(max_epochs=8))``.

    None keeps the graph's own. ``call_options`` are further options of the model calls that reason, ``tools`` for
    example; those that only summarize don't get them.
    """

    max_epochs: int | None = None
    max_tokens: int | None = None
    eta: int | None = None
    summary_budget: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    on_exhausted: OnExhausted | None = None
    keep_trace: bool | None = None
    call_options: Mapping[str, Any] | None = None


def _at_least(name: str, value: float | None, lowest: float) -> None:
    if value is not None and value < lowest:
        raise InvalidInputError(f"{name} must be at least {lowest}, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of a graph, checked. Fields as in :func:`~inftythink_graph.graph.create_inftythink_graph`."""

    max_epochs: int = 50
    max_tokens: int | None = None
    eta: int | None = None
    summary_budget: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    protocol: Protocol | None = None
    on_exhausted: OnExhausted = "force"
    keep_trace: bool = False
    stall_after: int = 3
    call_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _at_least("max_epochs", self.max_epochs, 1)
        _at_least("max_tokens", self.max_tokens, 1)
        _at_least("eta", self.eta, 1)
        _at_least("summary_budget", self.summary_budget, 1)
        _at_least("temperature", self.temperature, 0)
        _at_least("stall_after", self.stall_after, 2)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InvalidInputError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.on_exhausted not in get_args(OnExhausted):
            raise InvalidInputError(f"on_exhausted must be one of {get_args(OnExhausted)}, got {self.on_exhausted!r}")

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
