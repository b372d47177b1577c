"""``create_inftythink_graph``: the reasoner as a LangGraph component.

::

    START -> reason -> check_answer -> END
                ^          |
                +- summarize <-+   (no accepted answer, epochs left)

With a verifier, an answer that had to be forced is judged in a step of its own: ``check_answer`` then follows itself.
With ``num_paths`` above 1, several such loops run side by side: see :mod:`inftythink_graph.paths`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Checkpointer, RetryPolicy

from inftythink_graph.ballot import BALLOT_KEY, Ballot
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.messages import with_messages
from inftythink_graph.nodes.check_answer import STEPS_PER_EPOCH, check_answer
from inftythink_graph.nodes.flow import Caller, Flow
from inftythink_graph.nodes.lengths import SummaryLengths
from inftythink_graph.nodes.reason import reason
from inftythink_graph.nodes.runnable import NodeRunnable, RouteRunnable
from inftythink_graph.nodes.summarize import summarize
from inftythink_graph.path_state import PathInput, PathState, path_settings
from inftythink_graph.paths import on_path, paths_builder, tagged
from inftythink_graph.protocol import Protocol
from inftythink_graph.state import (
    InftyThinkContext,
    InftyThinkInput,
    InftyThinkOutput,
    InftyThinkState,
    OnExhausted,
    OnRejected,
    OnStall,
    ProtocolKind,
    Settings,
)
from inftythink_graph.verdicts import Verifier

__all__ = ["InftyThinkGraph", "create_inftythink_graph"]

NODES = ("reason", "check_answer", "summarize")

NodeBody = Callable[[Any, Settings], Flow]

_WRITERS = 2  # threads of the pool that are left to write checkpoints while all paths think


class InftyThinkGraph(CompiledStateGraph[InftyThinkState, InftyThinkContext, InftyThinkInput, InftyThinkOutput]):
    """The compiled graph. Its loop is bounded by max_epochs, so no ambient recursion limit may cut it short.

    LangChain hands a limit of 25 to whatever runs inside a chain or a tool, which would end a run after 8 epochs. A
    limit below what max_epochs needs is therefore raised to it; a higher one is kept.

    With several paths, every call brings a ballot of its own, through which they learn that the outcome is decided.
    """

    def __init__(
        self, *, max_epochs: int, model: BaseChatModel, has_verifier: bool, num_paths: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_epochs = max_epochs
        self.model = model
        self.has_verifier = has_verifier
        self.num_paths = num_paths

    def _roomy(self, config: RunnableConfig | None, context: Any) -> RunnableConfig:
        epochs = _chosen(context, "max_epochs") or self.max_epochs
        needed = STEPS_PER_EPOCH * (epochs + 1) + 1
        given = (config or {}).get("recursion_limit", 0)
        roomy = RunnableConfig(**{**(config or {}), "recursion_limit": max(given, needed)})
        paths = _chosen(context, "num_paths")
        if self.num_paths > 1:
            roomy["configurable"] = {**roomy.get("configurable", {}), BALLOT_KEY: Ballot()}
        elif paths is not None and paths > 1:
            raise InvalidInputError(
                f"this graph was made for one path, got num_paths={paths} for this call; allowed here: num_paths=1, or"
                " create the graph with num_paths of at least 2, whose number each call may choose"
            )
        return roomy

    def _threads(self, config: RunnableConfig, context: Any) -> RunnableConfig:
        """Room for all paths in the pool of threads, which is else as small as the machine."""
        paths = _chosen(context, "num_paths")
        known = (config, self.config or {}, ensure_config())
        if self.num_paths > 1 and all(each.get("max_concurrency") is None for each in known):
            config["max_concurrency"] = (paths or self.num_paths) + _WRITERS
        return config

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """As :meth:`langgraph.pregel.Pregel.stream`; ``invoke`` and ``batch`` come through here as well."""
        context = kwargs.get("context")
        config = self._threads(self._roomy(config, context), context)
        return super().stream(with_messages(input), config, **kwargs)

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """As :meth:`langgraph.pregel.Pregel.astream`; ``ainvoke`` and ``abatch`` come through here as well."""
        return super().astream(with_messages(input), self._roomy(config, kwargs.get("context")), **kwargs)


def _chosen(context: Any, name: str) -> int | None:
    """A number that a call's context chooses; None where it doesn't."""
    # LangGraph takes a context's fields as a mapping, too: that is how they arrive over HTTP.
    value = context.get(name) if isinstance(context, Mapping) else None
    if isinstance(context, InftyThinkContext):
        value = getattr(context, name)
    return value if isinstance(value, int) else None


def _protocol(protocol: Protocol | ProtocolKind | None) -> Protocol | None:
    if protocol is None or isinstance(protocol, Protocol):
        return protocol
    try:
        return Protocol(kind=protocol)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error


def _pauses(option: str, names: Sequence[str] | Literal["*"] | None) -> list[str] | Literal["*"] | None:
    if names is None or names == "*":
        return names
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in NODES:
            raise InvalidInputError(f"{option} names {name!r}, which is no node; allowed: {', '.join(NODES)}, or '*'")
    return chosen


def create_inftythink_graph(
    model: BaseChatModel,
    *,
    max_epochs: int = 50,
    max_tokens: int | None = None,
    eta: int | None = None,
    summary_budget: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    protocol: Protocol | Literal["native", "prompted"] | None = None,
    verifier: Verifier | None = None,
    on_rejected: OnRejected = "note",
    on_exhausted: OnExhausted = "force",
    keep_trace: bool = False,
    stall_after: int = 3,
    on_stall: OnStall = "end",
    stall_temperature: float = 1.0,
    num_paths: int = 1,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    checkpointer: Checkpointer = None,
    interrupt_before: Sequence[str] | Literal["*"] | None = None,
    interrupt_after: Sequence[str] | Literal["*"] | None = None,
    name: str = "inftythink",
) -> InftyThinkGraph:
    """Reasoning of unbounded depth in a bounded context (Yan et al. 2025, arXiv 2503.06692).

    ``graph.invoke({"question": ...})``, or ``{"messages": [...]}`` with a conversation, returns an
    :class:`~inftythink_graph.state.InftyThinkOutput`; ``ainvoke``, ``stream``, ``astream``, ``batch`` and ``abatch``
    work as in any LangGraph graph, the stream modes ``messages`` (tokens, told apart) and ``custom``
    (:mod:`inftythink_graph.events`) among them.

    Args:
        model: any LangChain chat model. ``ChatVLLM`` and ``EmbeddedChatModel`` can also be prefilled and know their
            window.
        max_epochs: most segments of a run; the paper's evaluation uses 50.
        max_tokens: most tokens that a run generates, None for no limit. A run that has used them up ends as one that is
            out of epochs; a forced answer comes on top.
        eta: most tokens of a segment. None takes the value that the model was trained with, else 4096.
        summary_budget: most tokens of a summary. None takes the model's own, else 512.
        temperature: sampling temperature, 0 for greedy. None takes what the model's card recommends, else 0.7.
        top_p: nucleus of the sampling, above 0 and at most 1.
        seed: for models that take one; epoch k is sampled with ``seed + k``.
        protocol: ``native`` for models trained on the format, ``prompted`` for all others, or a
            :class:`~inftythink_graph.protocol.Protocol`. None: native where the model's card says so, else prompted.
        verifier: judges a conclusion; a rejected one goes back into the loop. What it raises ends the run unchanged.
            None accepts any conclusion. Ready ones are in :mod:`inftythink_graph.verifiers`.
        on_rejected: what the loop goes on with after a rejection. ``note``: the summary, and a note that says why the
            answer was rejected, for models that can make use of it. ``restart``: the question alone, for models that
            can't, and for mistakes that a summary carries on; epochs count on, each with its own seed, and the
            temperature must be above 0.
        on_exhausted: when epochs run out, ``force`` an answer from the last summary and segment, or ``return`` what
            there is.
        keep_trace: return one record per epoch under ``trace``.
        stall_after: that many times in a row the summary must be one that was there before for a run to have stalled.
        on_stall: what becomes of such a run. ``end``: it ends as one that is out of epochs. ``heat``: it goes on at
            ``stall_temperature`` until the summary is a new one, and ends after as many repeats again.
        stall_temperature: sampling temperature of an epoch that is to get a run going again; the run's own, where that
            is higher.
        num_paths: above 1, that many trajectories side by side, sampled apart. Without a verifier the majority of
            equivalent answers wins, with one the first answer that it accepts; the rest stops once that is decided.
            The result is a :class:`~inftythink_graph.path_state.ParallelOutput`.
        retry_policy: when to try the request of an epoch again, and how long to wait, as LangGraph takes it;
            :func:`~inftythink_graph.models.transport.patience` is one that waits for a server to come back. What the
            request before it brought is kept. None raises what the model raises.
        checkpointer: as in :meth:`langgraph.graph.StateGraph.compile`. With one, a run can be resumed, gone back in and
            reviewed by a human (docs/checkpoints.md).
        interrupt_before: nodes (``reason``, ``check_answer``, ``summarize``) before which a run pauses, or ``"*"``; for
            graphs of one path.
        interrupt_after: nodes after which a run pauses; for graphs of one path.
        name: the graph's name, for subgraphs and traces.

    Raises:
        InvalidInputError: an argument is outside what is allowed.
    """
    settings = Settings(
        max_epochs=max_epochs,
        max_tokens=max_tokens,
        eta=eta,
        summary_budget=summary_budget,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        protocol=_protocol(protocol),
        on_exhausted=on_exhausted,
        on_rejected=on_rejected,
        keep_trace=keep_trace,
        stall_after=stall_after,
        on_stall=on_stall,
        stall_temperature=stall_temperature,
        num_paths=num_paths,
    )
    if verifier is not None and not callable(verifier):
        raise InvalidInputError(
            f"verifier must be callable, got {type(verifier).__name__}; tool_verifier takes a tool, model_verifier a"
            " chat model"
        )
    parallel = num_paths > 1
    if parallel and (interrupt_before or interrupt_after):
        raise InvalidInputError("a run of several paths doesn't pause at nodes; allowed with num_paths=1")
    caller, lengths = Caller(model, verifier), SummaryLengths()
    has_verifier = verifier is not None

    def think(state: InftyThinkState, settings: Settings) -> Flow:
        return reason(state, settings, has_verifier=has_verifier)

    def check(state: Any, settings: Settings) -> Flow:
        flow = check_answer(state, settings, has_verifier=has_verifier)
        return on_path(state, settings, flow) if parallel else flow

    def settle(state: InftyThinkState, settings: Settings) -> Flow:
        return summarize(state, settings, lengths=lengths)

    def node(body: NodeBody) -> NodeRunnable:
        def flow(state: Any) -> Flow:
            chosen = settings.override(get_runtime().context)
            if "path" not in state:
                return body(state, chosen)
            return tagged(body(state, path_settings(chosen, state["path"])), state["path"])

        return NodeRunnable(caller, flow)

    def route(state: InftyThinkState) -> str:
        if state["status"] is not None:
            return END
        return "check_answer" if state.get("forced") else "summarize"

    builder: StateGraph[Any, Any, Any, Any] = StateGraph(
        PathState if parallel else InftyThinkState,
        context_schema=InftyThinkContext,
        input_schema=PathInput if parallel else InftyThinkInput,
        output_schema=InftyThinkOutput,
    )
    for title, body in zip(NODES, (think, check, settle), strict=True):
        builder.add_node(title, node(body), retry_policy=retry_policy)
    builder.add_edge(START, "reason")
    builder.add_edge("reason", "check_answer")
    ways = ["summarize", END, *(["check_answer"] if has_verifier else [])]
    builder.add_conditional_edges("check_answer", RouteRunnable(route), ways)
    builder.add_edge("summarize", "reason")
    known: dict[str, Any] = {"max_epochs": max_epochs, "model": model, "has_verifier": has_verifier}
    if parallel:
        loop = InftyThinkGraph(**known, **vars(builder.compile(name=f"{name}_path")))
        builder = paths_builder(loop, node, settings, by_verifier=has_verifier)
    compiled = builder.compile(
        checkpointer=checkpointer,
        interrupt_before=_pauses("interrupt_before", interrupt_before),
        interrupt_after=_pauses("interrupt_after", interrupt_after),
        name=name,
    )
    return InftyThinkGraph(**known, num_paths=num_paths, **vars(compiled))
