"""The schemas of the graph: input, output, state, per-call context, settings, and the record of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, get_args

from langchain_core.messages import AnyMessage
from langgraph.channels import EphemeralValue
from langgraph.graph.message import add_messages
from langgraph.managed import RemainingSteps
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict  # pydantic makes no JSON schema of typing's before Python 3.12

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models.base import ModelCard
from inftythink_graph.protocol import Content, ParsedKind, Protocol
from inftythink_graph.records import records_channel
from inftythink_graph.stalls import OnStall
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
    "OnExhausted",
    "OnRejected",
    "OnStall",
    "Settings",
    "Status",
    "Usage",
    "add_usage",
    "no_usage",
    "with_request",
]

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
        usage: of the whole run, without its verifier.
        messages: the conversation with the answer as its last message: an ``AIMessage`` of the conclusion, with the
            usage summed over all epochs, and tool calls where the model asked for any.
        trace: one record per epoch; only with ``keep_trace=True``.
        verifier_usage: what judging took; only where a verifier says so, as a model that judges does.
    """

    answer: str | None
    conclusion: str
    status: Status
    epochs: int
    summary: str
    usage: Usage
    messages: Annotated[list[AnyMessage], add_messages]
    trace: NotRequired[list[EpochRecord]]
    verifier_usage: NotRequired[Usage]


class InftyThinkState(TypedDict, total=False):
    """The state between nodes. A checkpoint does not grow with depth: keys hold their last value only.

    ``records``, empty unless a trace is kept, is the exception: of it, a checkpoint stores what the step added.
    ``trace`` is put together from it when the run ends and dropped when another one starts.

    Beyond input and output: ``asked`` identifies the question that the counters belong to, ``epoch`` is the record
    under way, ``forced`` says that its conclusion was forced and waits for the verifier, ``tool_calls`` are those that
    the model ended its reasoning with, ``repeats`` counts how often in a row the summary was one of those before, of
    which ``recent`` remembers a few. ``messages`` grows by one answer a run.
    """

    question: Content | None
    messages: Annotated[list[AnyMessage], add_messages]
    answer: str | None
    conclusion: str
    status: Status | None
    epochs: int
    summary: str
    usage: Usage
    trace: Annotated[list[EpochRecord], EphemeralValue]
    records: Annotated[list[EpochRecord], records_channel()]
    verifier_usage: Usage
    asked: Content
    epoch: EpochRecord
    forced: bool
    tool_calls: list[dict[str, Any]]
    repeats: int
    recent: list[str]
    remaining_steps: RemainingSteps


@with_config(ConfigDict(use_attribute_docstrings=True))  # LangGraph Studio shows them beside the fields
@dataclass(frozen=True, slots=True, kw_only=True)
class InftyThinkContext:
    """Settings for one call, over those of the graph: ``graph.invoke(..., context=InftyThinkContext(max_epochs=8))``.

    None keeps the graph's own.
    """

    max_epochs: int | None = None
    """Most segments of a run, at least 1 (a graph's default: 50)."""
    max_tokens: int | None = None
    """Most tokens that a run generates, at least 1; a forced answer comes on top (default: no limit)."""
    eta: int | None = None
    """Most tokens of a segment (default: what the model was trained with, else 4096)."""
    summary_budget: int | None = None
    """Most tokens of a summary (default: what the model was trained with, else 512)."""
    temperature: float | None = None
    """Sampling temperature, 0 for greedy (default: what the model's card recommends, else 0.7)."""
    top_p: float | None = None
    """Nucleus of the sampling, above 0 and at most 1 (default: the model's own)."""
    seed: int | None = None
    """Seed of the sampling, for models that take one; epoch k is sampled with seed + k."""
    on_exhausted: OnExhausted | None = None
    """Out of epochs: force an answer from the last summary (default), or return what there is."""
    on_rejected: OnRejected | None = None
    """A rejected answer goes back as a note with the summary (default), or the question is begun again."""
    keep_trace: bool | None = None
    """Return one record per epoch under ``trace`` (default: no)."""
    call_options: Mapping[str, Any] | None = None
    """Further options of the model calls that reason (not of those that only summarize), ``tools`` for example."""
    num_paths: int | None = None
    """Trajectories side by side, for graphs that were made for several."""


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
    on_rejected: OnRejected = "note"
    keep_trace: bool = False
    stall_after: int = 3
    on_stall: OnStall = "end"
    stall_temperature: float = 1.0
    call_options: Mapping[str, Any] | None = None
    num_paths: int = 1

    def __post_init__(self) -> None:
        _at_least("max_epochs", self.max_epochs, 1)
        _at_least("max_tokens", self.max_tokens, 1)
        _at_least("eta", self.eta, 1)
        _at_least("summary_budget", self.summary_budget, 1)
        _at_least("temperature", self.temperature, 0)
        _at_least("stall_after", self.stall_after, 2)
        _at_least("num_paths", self.num_paths, 1)
        if self.num_paths > 1 and self.temperature == 0:
            raise InvalidInputError(
                f"num_paths={self.num_paths} needs a temperature above 0, because at 0 all paths are the same; allowed"
                " at 0: num_paths=1"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InvalidInputError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.on_exhausted not in get_args(OnExhausted):
            raise InvalidInputError(f"on_exhausted must be one of {get_args(OnExhausted)}, got {self.on_exhausted!r}")
        if self.on_rejected not in get_args(OnRejected):
            raise InvalidInputError(f"on_rejected must be one of {get_args(OnRejected)}, got {self.on_rejected!r}")
        if self.on_stall not in get_args(OnStall):
            raise InvalidInputError(f"on_stall must be one of {get_args(OnStall)}, got {self.on_stall!r}")
        if self.stall_temperature <= 0:
            raise InvalidInputError(f"stall_temperature must be above 0, got {self.stall_temperature}")

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
