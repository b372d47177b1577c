"""``create_inftythink_graph``: the reasoner as a LangGraph component.

::

    START -> reason -> check_answer -> END
                ^          |
                +- summarize <-+   (no accepted answer, epochs left)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Checkpointer

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.messages import with_messages
from inftythink_graph.nodes.check_answer import STEPS_PER_EPOCH, check_answer
from inftythink_graph.nodes.flow import Caller, Flow
from inftythink_graph.nodes.reason import reason
from inftythink_graph.nodes.summarize import summarize
from inftythink_graph.protocol import Protocol
from inftythink_graph.state import (
    InftyThinkContext,
    InftyThinkInput,
    InftyThinkOutput,
    InftyThinkState,
    OnExhausted,
    ProtocolKind,
    Settings,
)
from inftythink_graph.verdicts import Verifier

__all__ = ["InftyThinkGraph", "create_inftythink_graph"]

NodeBody = Callable[[InftyThinkState, Settings], Flow]


class InftyThinkGraph(CompiledStateGraph[InftyThinkState, InftyThinkContext, InftyThinkInput, InftyThinkOutput]):
    """The compiled graph. Its loop is bounded by max_epochs, so no ambient recursion limit may cut it short.

    LangChain hands a limit of 25 to whatever runs inside a chain or a tool, which would end a run after 8 epochs. A
    limit below what max_epochs needs is therefore raised to it; a higher one is kept.
    """

    def __init__(self, *, max_epochs: int, model: BaseChatModel, has_verifier: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_epochs = max_epochs
        self.model = model
        self.has_verifier = has_verifier

    def _roomy(self, config: RunnableConfig | None, context: Any) -> RunnableConfig:
        epochs = self.max_epochs
        if isinstance(context, InftyThinkContext) and context.max_epochs is not None:
            epochs = context.max_epochs
        needed = STEPS_PER_EPOCH * (epochs + 1) + 1
        given = (config or {}).get("recursion_limit", 0)
        return RunnableConfig(**{**(config or {}), "recursion_limit": max(given, needed)})

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """As :meth:`langgraph.pregel.Pregel.stream`; ``invoke`` and ``batch`` come through here as well."""
        return super().stream(with_messages(input), self._roomy(config, kwargs.get("context")), **kwargs)

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """As :meth:`langgraph.pregel.Pregel.astream`; ``ainvoke`` and ``abatch`` come through here as well."""
        return super().astream(with_messages(input), self._roomy(config, kwargs.get("context")), **kwargs)


def _protocol(protocol: Protocol | ProtocolKind | None) -> Protocol | None:
    if protocol is None or isinstance(protocol, Protocol):
        return protocol
    try:
        return Protocol(kind=protocol)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error


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
    on_exhausted: OnExhausted = "force",
    keep_trace: bool = False,
    stall_after: int = 3,
    checkpointer: Checkpointer = None,
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
        verifier: judges a conclusion; a rejected one goes back into the loop with the reason. None accepts any.
        on_exhausted: when epochs run out, ``force`` an answer from the last summary, or ``return`` what there is.
        keep_trace: return one record per epoch under ``trace``.
        stall_after: end the run when the summary came back unchanged that many times in a row.
        checkpointer: as in :meth:`langgraph.graph.StateGraph.compile`.
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
        keep_trace=keep_trace,
        stall_after=stall_after,
    )
    caller = Caller(model, verifier)

    def check(state: InftyThinkState, settings: Settings) -> Flow:
        return check_answer(state, settings, has_verifier=verifier is not None)

    def node(body: NodeBody) -> RunnableLambda[InftyThinkState, dict[str, Any]]:
        def run(state: InftyThinkState, config: RunnableConfig) -> dict[str, Any]:
            return caller.run(body(state, settings.override(get_runtime().context)), config)

        async def arun(state: InftyThinkState, config: RunnableConfig) -> dict[str, Any]:
            return await caller.arun(body(state, settings.override(get_runtime().context)), config)

        return RunnableLambda(run, afunc=arun)

    def route(state: InftyThinkState) -> Literal["summarize", "__end__"]:
        return "summarize" if state["status"] is None else "__end__"

    builder = StateGraph(
        InftyThinkState,
        context_schema=InftyThinkContext,
        input_schema=InftyThinkInput,
        output_schema=InftyThinkOutput,
    )
    builder.add_node("reason", node(reason))
    builder.add_node("check_answer", node(check))
    builder.add_node("summarize", node(summarize))
    builder.add_edge(START, "reason")
    builder.add_edge("reason", "check_answer")
    builder.add_conditional_edges("check_answer", route)
    builder.add_edge("summarize", "reason")
    compiled = builder.compile(checkpointer=checkpointer, name=name)
    return InftyThinkGraph(max_epochs=max_epochs, model=model, has_verifier=verifier is not None, **vars(compiled))
