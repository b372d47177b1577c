"""Several trajectories of one question side by side, joined by a vote or by the verifier.

::

    START -> fork -> path (one Send for each trajectory) -> join -> END

A ``path`` is one run of the whole loop, so no trajectory ever waits for another. Between its epochs it asks the run's
:class:`~inftythink_graph.ballot.Ballot` whether the outcome is decided, and ends there if it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from langchain_core.exceptions import ModelError
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.config import get_config, get_stream_writer
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Send

from inftythink_graph.ballot import Ballot, ballot_in
from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.events import Event, RunEnded
from inftythink_graph.joining import asks_for_tools, joined, run_ended, vote_of
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.nodes.flow import Describe, Emit, Flow
from inftythink_graph.path_state import (
    ParallelOutput,
    ParallelState,
    PathEnd,
    PathInput,
    PathRecord,
    PathState,
    path_settings,
)
from inftythink_graph.records import closed
from inftythink_graph.state import EpochRecord, InftyThinkContext, InftyThinkInput, Settings
from inftythink_graph.usage import Usage, no_usage

__all__ = ["on_path", "paths_builder", "tagged"]


def tagged(flow: Flow, path: int) -> Flow:
    """The flow with the path's number on its events, and with the end of the path told apart from that of the run."""
    outcome: Any = None
    while True:
        try:
            effect = flow.send(outcome)
        except StopIteration as end:
            return dict(end.value)
        if isinstance(effect, Emit):
            named = "path_ended" if effect.event["event"] == "run_ended" else effect.event["event"]
            effect = Emit(cast(Event, {**effect.event, "event": named, "path": path}))
        outcome = yield effect


def on_path(state: PathState, settings: Settings, check: Flow) -> Flow:
    """The node ``check_answer`` of a path: what ``check`` does, but the path ends once the outcome is decided.

    A conclusion that is there is judged all the same; it is only no longer asked for.
    """
    ballot, path = ballot_in(get_config()), state["path"]
    if ballot is None:
        return (yield from check)
    ballot.note(path, state["epochs"], state["usage"])
    if not state["epoch"]["conclusion"] and ballot.over():
        check.close()
        return (yield from _stopped(state, settings, state["epoch"], state["usage"]))
    update = yield from check
    ballot.note(path, state["epochs"], update["usage"])
    if update.get("status") is None and ballot.over():
        return {**update, **(yield from _stopped({**state, **update}, settings, update["epoch"], update["usage"]))}
    return update


def _stopped(state: Any, settings: Settings, record: EpochRecord, usage: Usage) -> Flow:
    update: dict[str, Any] = {"status": "stopped", "epoch": record}
    if settings.keep_trace:
        update |= closed(state.get("records", []), record)
    yield Emit(
        RunEnded(
            event="run_ended",
            epoch=record["epoch"],
            status="stopped",
            answer=state.get("answer"),
            conclusion=state.get("conclusion", ""),
            usage=usage,
        )
    )
    return update


def fork(state: ParallelState, settings: Settings) -> Flow:
    """Check that paths can differ, and clear what a reused thread still holds of its last question."""
    info: ModelInfo = yield Describe()
    if settings.num_paths > 1 and settings.resolve(info.card).temperature == 0:
        raise InvalidInputError(
            f"num_paths={settings.num_paths} needs a temperature above 0 (0.7, for example), because at 0, which this"
            " model's card recommends, all paths are the same; allowed at 0: num_paths=1"
        )
    return {
        "width": settings.num_paths,
        "answer": None,
        "conclusion": "",
        "status": None,
        "epochs": 0,
        "summary": "",
        "usage": no_usage(),
        "paths": [],
        "votes": [],
    }


def fan_out(state: ParallelState) -> list[Send]:
    """One task for each path."""
    given, width = {"question": state.get("question"), "messages": state.get("messages", [])}, state["width"]
    return [Send("path", {**given, "path": path, "of": width}) for path in range(1, width + 1)]


def _record(given: PathInput, settings: Settings, result: dict[str, Any]) -> PathRecord:
    record = PathRecord(
        path=given["path"],
        place=0,
        answer=result.get("answer"),
        conclusion=result.get("conclusion", ""),
        status=result["status"],
        epochs=result["epochs"],
        summary=result.get("summary", ""),
        usage=result["usage"],
        seed=path_settings(settings, given["path"]).seed,
        votes=0,
        error=result.get("error", ""),
    )
    if "trace" in result:
        record["trace"] = result["trace"]
    if "verifier_usage" in result:
        record["verifier_usage"] = result["verifier_usage"]
    return record


def _end(record: PathRecord, result: dict[str, Any], ballot: Ballot | None, *, of: int, by_verifier: bool) -> PathEnd:
    """Cast the path's vote. Compares answers: not for an event loop."""
    messages = result.get("messages") or [None]
    end = PathEnd(record=record, message=messages[-1] if isinstance(messages[-1], AIMessage) else None)
    if ballot is None:
        return end
    concluded = record["status"] == "answered" and not (by_verifier and asks_for_tools(end))
    place = ballot.end(vote_of(end) if concluded else None, of=of, accepted=concluded and by_verifier)
    return {**end, "record": {**record, "place": place}}


@contextmanager
def _failures(path: int, ballot: Ballot | None, result: dict[str, Any]) -> Iterator[None]:
    """An error of one path ends the run, and the other paths with it, unless the outcome is decided already."""
    try:
        yield
    except GraphBubbleUp:  # an interrupt is no failure
        raise
    except Exception as error:
        if ballot is None:
            raise
        if not (ballot.decided and isinstance(error, ModelError | ConnectionError | TimeoutError)):
            ballot.fail(error)
            raise
        epochs, usage = ballot.progress(path)
        result |= {"status": "stopped", "epochs": epochs, "usage": usage, "error": one_line(error)}


def _never_begun() -> dict[str, Any]:
    return {"status": "stopped", "epochs": 0, "usage": no_usage()}


def _options(context: Any) -> dict[str, Any]:
    # Given by hand, so that the loop knows of a max_epochs that it needs more graph steps for, and is itself one path.
    return {"context": replace(context, num_paths=1)} if isinstance(context, InftyThinkContext) else {}


def _path_node(loop: Runnable[Any, Any], settings: Settings, *, by_verifier: bool) -> Runnable[Any, Any]:
    def run(given: PathInput, config: RunnableConfig) -> dict[str, Any]:
        ballot, context = ballot_in(config), get_runtime().context
        result: dict[str, Any] = {}
        if ballot is not None and ballot.over():
            result = _never_begun()
        else:
            with _failures(given["path"], ballot, result):
                result |= loop.invoke(given, config, **_options(context))
        record = _record(given, settings.override(context), result)
        return {"ended": _end(record, result, ballot, of=given["of"], by_verifier=by_verifier)}

    async def arun(given: PathInput, config: RunnableConfig) -> dict[str, Any]:
        ballot, context = ballot_in(config), get_runtime().context
        result: dict[str, Any] = {}
        if ballot is not None and ballot.over():
            result = _never_begun()
        else:
            with _failures(given["path"], ballot, result):
                result |= await loop.ainvoke(given, config, **_options(context))
        record = _record(given, settings.override(context), result)
        end = await asyncio.to_thread(_end, record, result, ballot, of=given["of"], by_verifier=by_verifier)
        return {"ended": end}

    return RunnableLambda(run, afunc=arun)


def _join_node(*, by_verifier: bool) -> Runnable[Any, Any]:
    def body(state: ParallelState, ballot: Ballot | None) -> dict[str, Any]:
        if ballot is None:
            return joined(state["ended"], by_verifier=by_verifier)
        update = joined(state["ended"], by_verifier=by_verifier, equal=ballot.equal)
        return {**update, "wall_seconds": ballot.seconds}

    def run(state: ParallelState, config: RunnableConfig) -> dict[str, Any]:
        update = body(state, ballot_in(config))
        get_stream_writer()(run_ended(update))
        return update

    async def arun(state: ParallelState, config: RunnableConfig) -> dict[str, Any]:
        update = await asyncio.to_thread(body, state, ballot_in(config))
        get_stream_writer()(run_ended(update))
        return update

    return RunnableLambda(run, afunc=arun)


def paths_builder(
    loop: Runnable[Any, Any],
    node: Callable[[Callable[[Any, Settings], Flow]], Runnable[Any, Any]],
    settings: Settings,
    *,
    by_verifier: bool,
) -> StateGraph[Any, Any, Any, Any]:
    """The graph around a loop.

    Args:
        loop: the compiled loop, whose state is a :class:`PathState`.
        node: makes a node of a flow.
        settings: of the graph.
        by_verifier: an accepted answer wins, instead of the majority.
    """
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(
        ParallelState, context_schema=InftyThinkContext, input_schema=InftyThinkInput, output_schema=ParallelOutput
    )
    builder.add_node("fork", node(fork))
    builder.add_node("path", _path_node(loop, settings, by_verifier=by_verifier), input_schema=PathInput)
    builder.add_node("join", _join_node(by_verifier=by_verifier))
    builder.add_edge(START, "fork")
    builder.add_conditional_edges("fork", fan_out, ["path"])
    builder.add_edge("path", "join")
    builder.add_edge("join", END)
    return builder
