"""``create_summarizer_graph``: the summaries of one chain of thought, as a LangGraph component.

::

    START -> prepare -> request -> judge -> END
                           ^         |
                           +---------+   (rejected and attempts left, or segments left)

Stage II of the paper's data construction (Yan et al. 2025, arXiv 2503.06692, section 3.2), with checks that it lacks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from datasets_build.segmentation.segment import Counter
from datasets_build.summaries.nodes import (
    SummarizerInput,
    SummarizerOutput,
    SummarizerState,
    SummarySettings,
    SummaryUsage,
    judge,
    prepare,
    request,
)
from datasets_build.summaries.prompt import SummaryPrompt, load_prompt
from datasets_build.summaries.request_cache import ReplyCache
from datasets_build.summaries.requests import PatientCaller
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.nodes.flow import Flow

__all__ = [
    "SummarizerGraph",
    "SummarizerInput",
    "SummarizerOutput",
    "SummaryUsage",
    "create_summarizer_graph",
]

_STEPS_PER_ATTEMPT = 2
_UNBOUNDED = 1_000_000  # steps, where the number of segments isn't known from the input

NodeBody = Callable[[SummarizerState, SummarySettings], Flow]


class SummarizerGraph(CompiledStateGraph[SummarizerState, None, SummarizerInput, SummarizerOutput]):
    """The compiled graph. Segments and attempts bound its loop, so no ambient recursion limit may cut it short."""

    def __init__(self, *, max_attempts: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_attempts = max_attempts

    def _roomy(self, input: Any, config: RunnableConfig | None) -> RunnableConfig:
        needed = _UNBOUNDED
        if isinstance(input, dict) and isinstance(input.get("segments"), list | tuple):
            needed = _STEPS_PER_ATTEMPT * self.max_attempts * len(input["segments"]) + 2
        given = (config or {}).get("recursion_limit", 0)
        return RunnableConfig(**{**(config or {}), "recursion_limit": max(given, needed)})

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """As :meth:`langgraph.pregel.Pregel.stream`; ``invoke`` and ``batch`` come through here as well."""
        return super().stream(input, self._roomy(input, config), **kwargs)

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """As :meth:`langgraph.pregel.Pregel.astream`; ``ainvoke`` and ``abatch`` come through here as well."""
        return super().astream(input, self._roomy(input, config), **kwargs)


def create_summarizer_graph(
    model: BaseChatModel,
    *,
    prompt: SummaryPrompt | str | Path | None = None,
    summary_budget: int = 512,
    window: int | None = None,
    temperature: float = 0.3,
    top_p: float | None = None,
    seed: int | None = 0,
    max_attempts: int = 4,
    reasoning_budget: int = 0,
    count: Counter | None = None,
    cache: ReplyCache | None = None,
    model_name: str | None = None,
    transport_tries: int = 8,
    backoff: float = 1.0,
    checkpointer: Checkpointer = None,
    name: str = "summarizer",
) -> SummarizerGraph:
    """Summaries of a chain's segments, each written from the question and all segments and summaries before it.

    ``graph.invoke({"question": ..., "segments": [...]})`` returns a
    :class:`~datasets_build.summaries.nodes.SummarizerOutput` with one summary fewer than segments. A summary is
    accepted only if it ended by itself, is within the budget and shorter than its segment, and holds text but no tags;
    otherwise
    it is asked for again, with another seed and a slightly different temperature. Where one can't be had, the whole
    example fails, with a reason: that is a status, not an exception.

    Args:
        model: any LangChain chat model; ``ChatVLLM`` knows its window and counts its prompts.
        prompt: the wording, or the file that holds it; None is the package's own.
        summary_budget: most tokens of a summary.
        window: tokens that the summarizer may see and write in one request; the model's own, where it is smaller. Where
            a conversation is longer, its oldest segments are left out and their summaries stay.
        temperature: sampling temperature of the first attempt.
        top_p: nucleus of the sampling, above 0 and at most 1.
        seed: attempt k is sampled with ``seed + k - 1``; None for models that take no seed.
        max_attempts: most replies for one segment.
        reasoning_budget: tokens that a reasoning summarizer may think before its summary.
        count: token counts by the target model's tokenizer, for the budget; None takes the server's count of the reply.
        cache: keeps every reply before it is used, so that no finished request is ever repeated.
        model_name: the model's name for the cache; None takes it from the model.
        transport_tries: most tries of a request that fails on its way (no connection, overload, timeout).
        backoff: seconds of the first wait after such a failure, at most; it grows exponentially and is drawn at random.
        checkpointer: as in :meth:`langgraph.graph.StateGraph.compile`.
        name: the graph's name, for subgraphs and traces.

    Raises:
        InvalidInputError: an argument is outside what is allowed, or the prompt file is no valid prompt.
    """
    for option, value, lowest in (("transport_tries", transport_tries, 1), ("backoff", backoff, 0)):
        if value < lowest:
            raise InvalidInputError(f"{option} must be at least {lowest}, got {value}")
    wording = prompt if isinstance(prompt, SummaryPrompt) else load_prompt(prompt)
    settings = SummarySettings(
        prompt=wording,
        summary_budget=summary_budget,
        window=window,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_attempts=max_attempts,
        reasoning_budget=reasoning_budget,
        count=count,
    )
    caller = PatientCaller(
        model, prompt=wording.identity, cache=cache, name=model_name, tries=transport_tries, backoff=backoff
    )

    def node(body: NodeBody) -> RunnableLambda[SummarizerState, dict[str, Any]]:
        def run(state: SummarizerState, config: RunnableConfig) -> dict[str, Any]:
            return caller.run(body(state, settings), config)

        async def arun(state: SummarizerState, config: RunnableConfig) -> dict[str, Any]:
            return await caller.arun(body(state, settings), config)

        return RunnableLambda(run, afunc=arun)

    def after_prepare(state: SummarizerState) -> Literal["request", "__end__"]:
        return "request" if state["status"] is None else "__end__"

    def after_request(state: SummarizerState) -> Literal["judge", "__end__"]:
        return "judge" if state["status"] is None else "__end__"

    builder = StateGraph(SummarizerState, input_schema=SummarizerInput, output_schema=SummarizerOutput)
    builder.add_node("prepare", node(prepare))
    builder.add_node("request", node(request))
    builder.add_node("judge", node(judge))
    builder.add_edge(START, "prepare")
    builder.add_conditional_edges("prepare", after_prepare)
    builder.add_conditional_edges("request", after_request)
    builder.add_conditional_edges("judge", after_prepare)
    compiled = builder.compile(checkpointer=checkpointer, name=name)
    return SummarizerGraph(max_attempts=max_attempts, **vars(compiled))
