"""Several trajectories of one question side by side, joined by a vote or by the verifier.

::

    START -> fork -> path (one Send for each trajectory) -> join -> END

A ``path`` is one run of the whole loop, so no trajectory ever waits for another. Between its epochs it asks the run's
:class:`~inftythink_graph.ballot.Ballot` whether the outcome is decided, and ends there if it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from typing import Any

from langchain_core.exceptions import ModelError
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Send

from inftythink_graph.ballot import Ballot, ballot_in
from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.nodes.flow import Describe, Flow
from inftythink_graph.path_state import ParallelOutput, ParallelState, PathInput, PathRecord, VoteCount, path_settings
from inftythink_graph.state import (
    EpochRecord,
    InftyThinkContext,
    InftyThinkInput,
    InftyThinkState,
    Settings,
    add_usage,
    no_usage,
)
from inftythink_graph.voting import Equal, Group, Vote, equivalent, grouped

__all__ = ["elect", "on_path", "paths_builder"]


def on_path(state: InftyThinkState, settings: Settings, check: Flow) -> Flow:
    """The node ``check_answer`` of a path: what ``check`` does, but the path ends once the outcome is decided.

    A conclusion that is there is judged all the same; it is only no longer asked for.
    """
    ballot, path = ballot_in(get_config()), int(state.get("path", 1))  # type: ignore[call-overload]
    if ballot is None:
        return (yield from check)
    ballot.note(path, state["epochs"], state["usage"])
    if not state["epoch"]["conclusion"] and ballot.over():
        check.close()
        return _stopped(state, settings, state["epoch"])
    update = yield from check
    ballot.note(path, state["epochs"], update["usage"])
    if update["status"] is None and ballot.over():
        return {**update, **_stopped(state, settings, update["epoch"])}
    return update


def _stopped(state: InftyThinkState, settings: Settings, record: EpochRecord) -> dict[str, Any]:
    update: dict[str, Any] = {"status": "stopped", "epoch": record}
    if settings.keep_trace:
        update["trace"] = [*state.get("trace", []), record]
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
    width = state["width"]
    return [Send("path", PathInput(question=state["question"], path=k, of=width)) for k in range(1, width + 1)]


def elect(
    records: Sequence[PathRecord], *, by_verifier: bool, equal: Equal = equivalent
) -> tuple[PathRecord, list[Group]]:
    """The winning path and the groups of equivalent answers.

    Answers that a path concluded with and that were accepted come before those that were forced or rejected; these are
    only counted where there are no others. By majority, the quickest path of the largest group wins; by the verifier,
    the first path whose answer it accepted. Without any answer, the first path that wasn't stopped stands for all.
    """
    accepted = [record for record in records if record["status"] == "answered"]
    ended = [record for record in records if record["status"] != "stopped"]
    counted = accepted if any(record["answer"] is not None for record in accepted) else accepted or ended
    votes = [Vote(r["path"], r["answer"], r["epochs"]) for r in counted if r["answer"] is not None]
    groups = grouped(votes, equal)
    if by_verifier and accepted:
        return min(accepted, key=lambda r: (r["place"], r["epochs"], r["path"])), groups
    if not groups:
        return (accepted or ended or list(records))[0], groups
    return next(record for record in records if record["path"] == groups[0].best.path), groups


def _joined(state: ParallelState, ballot: Ballot | None, *, by_verifier: bool) -> dict[str, Any]:
    records = sorted(state["ended"], key=lambda record: record["path"])
    winner, groups = elect(records, by_verifier=by_verifier, equal=ballot.equal if ballot else equivalent)
    size = {vote.path: group.size for group in groups for vote in group.votes}
    update: dict[str, Any] = {
        "answer": winner["answer"],
        "conclusion": winner["conclusion"],
        "status": winner["status"],
        "epochs": winner["epochs"],
        "summary": winner["summary"],
        "usage": reduce(add_usage, (record["usage"] for record in records), no_usage()),
        "paths": [{**record, "votes": size.get(record["path"], 0)} for record in records],
        "votes": [
            VoteCount(answer=group.best.answer, votes=group.size, paths=sorted(vote.path for vote in group.votes))
            for group in groups
        ],
    }
    if "trace" in winner:
        update["trace"] = winner["trace"]
    if ballot is not None:
        update["wall_seconds"] = ballot.seconds
    return update


def _record(given: PathInput, settings: Settings, result: dict[str, Any]) -> PathRecord:
    seed = path_settings(settings, given["path"]).seed
    record = PathRecord(
        path=given["path"],
        place=0,
        answer=result.get("answer"),
        conclusion=result.get("conclusion", ""),
        status=result["status"],
        epochs=result["epochs"],
        summary=result.get("summary", ""),
        usage=result["usage"],
        seed=seed,
        votes=0,
        error=result.get("error", ""),
    )
    if "trace" in result:
        record["trace"] = result["trace"]
    return record


def _end(given: PathInput, record: PathRecord, ballot: Ballot | None, *, by_verifier: bool) -> dict[str, Any]:
    """Cast the path's vote. Compares answers: not for an event loop."""
    if ballot is not None:
        accepted = record["status"] == "answered"
        vote = None
        if accepted and record["answer"] is not None:
            vote = Vote(record["path"], record["answer"], record["epochs"])
        record = {**record, "place": ballot.end(vote, of=given["of"], accepted=accepted and by_verifier)}
    return {"ended": record}


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


def _unstarted() -> dict[str, Any]:
    return {"status": "stopped", "epochs": 0, "usage": no_usage()}


def _options(context: Any) -> dict[str, Any]:
    # Given by hand, so that the loop knows of a max_epochs that it needs more graph steps for, and is itself one path.
    return {"context": replace(context, num_paths=1)} if isinstance(context, InftyThinkContext) else {}


def _path_node(
    loop: Runnable[Any, Any], settings: Settings, *, by_verifier: bool
) -> RunnableLambda[PathInput, dict[str, Any]]:
    def run(given: PathInput, config: RunnableConfig) -> dict[str, Any]:
        ballot, context = ballot_in(config), get_runtime().context
        result: dict[str, Any] = {}
        if ballot is not None and ballot.over():
            result = _unstarted()
        else:
            with _failures(given["path"], ballot, result):
                result |= loop.invoke(given, config, **_options(context))
        record = _record(given, settings.override(context), result)
        return _end(given, record, ballot, by_verifier=by_verifier)

    async def arun(given: PathInput, config: RunnableConfig) -> dict[str, Any]:
        ballot, context = ballot_in(config), get_runtime().context
        result: dict[str, Any] = {}
        if ballot is not None and ballot.over():
            result = _unstarted()
        else:
            with _failures(given["path"], ballot, result):
                result |= await loop.ainvoke(given, config, **_options(context))
        record = _record(given, settings.override(context), result)
        return await asyncio.to_thread(_end, given, record, ballot, by_verifier=by_verifier)

    return RunnableLambda(run, afunc=arun)


def _join_node(*, by_verifier: bool) -> RunnableLambda[ParallelState, dict[str, Any]]:
    def run(state: ParallelState, config: RunnableConfig) -> dict[str, Any]:
        return _joined(state, ballot_in(config), by_verifier=by_verifier)

    async def arun(state: ParallelState, config: RunnableConfig) -> dict[str, Any]:
        return await asyncio.to_thread(_joined, state, ballot_in(config), by_verifier=by_verifier)

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
