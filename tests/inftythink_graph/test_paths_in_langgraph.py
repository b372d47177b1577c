"""Several paths as a LangGraph graph: checkpoints, resuming, streams, subgraphs, tools, batches."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import StateGraph
from langgraph.types import Command, interrupt
from path_models import PathModel, end, once_decided, step, when

from inftythink_graph import Candidate, create_inftythink_graph
from inftythink_graph.ballot import BALLOT_KEY, Ballot

QUESTION = {"question": "What?"}
THREAD: Any = {"configurable": {"thread_id": "t"}}


def graph_of(*scripts: list[Any], **options: Any) -> tuple[Any, PathModel]:
    model = PathModel(scripts=list(scripts))
    given = {"protocol": "native", "seed": 0, "num_paths": len(scripts), **options}
    return create_inftythink_graph(model, **given), model


def test_a_reused_thread_starts_a_new_question_cleanly() -> None:
    graph, model = graph_of([step(1), end("7")], [end("8")], checkpointer=InMemorySaver(), keep_trace=True)
    first = graph.invoke({"question": "first"}, THREAD)
    model.scripts = [[end("5")], [end("5")]]
    second = graph.invoke({"question": "second"}, THREAD)
    assert (first["answer"], second["answer"]) == ("8", "5")
    assert [len(result["paths"]) for result in (first, second)] == [2, 2]
    assert second["usage"]["requests"] == 2
    assert second["votes"] == [{"answer": "5", "votes": 2, "paths": [1, 2]}]
    assert graph.get_state(THREAD).values["answer"] == "5"


def test_nothing_of_the_ballot_gets_into_a_checkpoint(tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "state.db")) as saver:
        graph, _ = graph_of([step(1), end("7")], [end("7")], checkpointer=saver)
        graph.invoke(QUESTION, THREAD)
        kept = list(saver.list(None))
        assert len(kept) >= 4
        for item in kept:
            assert BALLOT_KEY not in json.dumps([item.config, item.metadata, item.parent_config], default=repr)
            assert "Ballot" not in repr([item.checkpoint, item.pending_writes])
        assert BALLOT_KEY not in repr(graph.get_state(THREAD))


def test_every_call_has_a_ballot_of_its_own_and_the_callers_config_is_left_alone() -> None:
    seen: list[Ballot] = []

    def look() -> str:
        from langchain_core.runnables.config import ensure_config

        seen.append(ensure_config()["configurable"][BALLOT_KEY])
        return end("7")

    graph, _ = graph_of([look], [look])
    config: Any = {"configurable": {"mine": 1}}
    graph.invoke(QUESTION, config)
    graph.invoke(QUESTION, config)
    assert config == {"configurable": {"mine": 1}}
    assert len({id(ballot) for ballot in seen}) == 2


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_after_an_error_only_what_is_missing_is_done_again(mode: str) -> None:
    """The path that had ended is kept, the one that failed goes on in the epoch that it had come to."""
    graph, model = graph_of([end("7")], [step(1), step(2), end("7")], checkpointer=InMemorySaver())
    model.scripts[1][2] = when(lambda: model.requests(1) == 1, ConnectionError("gone"))

    def call(given: Any) -> dict[str, Any]:
        if mode == "sync":
            return graph.invoke(given, THREAD)
        return asyncio.run(graph.ainvoke(given, THREAD))

    with pytest.raises(ConnectionError, match="gone"):
        call(QUESTION)
    # The first path may have been cut off between its request and the end of its task; it then asks once more.
    before = model.requests(1)
    model.scripts[1].append(end("7"))
    result = call(None)
    assert (result["answer"], result["votes"][0]["paths"]) == ("7", [1, 2])
    assert [record["epochs"] for record in result["paths"]] == [1, 3]
    assert model.requests(2) == 4
    assert model.requests(1) - before <= 1


def test_a_verifier_may_interrupt_one_path_to_ask_a_human() -> None:
    def verify(candidate: Candidate) -> bool:
        return bool(interrupt({"is this right?": candidate.answer}))

    script = [end("7"), "S", once_decided(step(1))]
    graph, model = graph_of(script, [end("8")], verifier=verify, checkpointer=InMemorySaver())
    paused = graph.invoke(QUESTION, THREAD, durability="sync")
    asked = {item.id: item.value["is this right?"] for item in paused["__interrupt__"]}
    assert sorted(asked.values()) == ["7", "8"]
    result = graph.invoke(Command(resume={key: value == "8" for key, value in asked.items()}), THREAD)
    assert result["answer"] == "8"
    assert [record["answer"] for record in result["paths"] if record["status"] == "answered"] == ["8"]
    assert model.requests(2) == 1


def test_streams_show_every_path_under_a_name_of_its_own() -> None:
    graph, _ = graph_of([step(1), end("7")], [end("8")])
    outer, inner = [], []
    for namespace, update in graph.stream(QUESTION, stream_mode="updates", subgraphs=True):
        (inner if namespace else outer).append((namespace, next(iter(update))))
    assert [name for _, name in outer] == ["fork", "path", "path", "join"]
    assert len({namespace for namespace, _ in inner}) == 2
    assert sorted(name for _, name in inner) == ["check_answer"] * 3 + ["reason"] * 3 + ["summarize"]
    assert [name for name, _ in graph.get_subgraphs()] == ["path"]


async def test_astream_and_batches() -> None:
    graph, _ = graph_of([step(1), end("7")], [step(1), end("7")])
    values = [chunk async for chunk in graph.astream(QUESTION, stream_mode="values")]
    assert values[-1]["answer"] == "7"
    assert values[1]["answer"] is None
    results = await graph.abatch([QUESTION] * 3)
    assert [result["answer"] for result in results] == ["7"] * 3


def test_batches_in_threads_do_not_mix_their_votes() -> None:
    graph, _ = graph_of([end("7")], [end("8")], [end("8")])
    for result in graph.batch([QUESTION] * 4):
        assert result["answer"] == "8"
        assert len(result["paths"]) == 3


def test_in_a_tool_in_a_chain_and_as_a_subgraph() -> None:
    script = [*map(step, range(1, 30)), end("7")]
    graph, _ = graph_of(script, script)

    def fresh() -> Any:
        return graph_of(script, script)[0]

    @tool
    def think(question: str) -> str:
        """Think."""
        return str(fresh().invoke({"question": question})["epochs"])

    class Outer(TypedDict, total=False):
        question: str
        answer: str
        epochs: int
        paths: list[Any]

    parent = StateGraph(Outer)
    parent.add_node("inner", graph)
    parent.set_entry_point("inner")
    assert think.invoke(QUESTION) == "30"
    assert (RunnableLambda(lambda given: given) | fresh()).invoke(QUESTION)["epochs"] == 30
    result = parent.compile(checkpointer=InMemorySaver()).invoke(QUESTION, {**THREAD, "recursion_limit": 25})
    assert (result["epochs"], len(result["paths"])) == (30, 2)


def test_a_context_of_the_parents_reaches_the_verifier() -> None:
    from langgraph.runtime import get_runtime

    class Outer(TypedDict, total=False):
        question: str
        answer: str

    def verify(candidate: Candidate) -> bool:
        return candidate.answer == get_runtime().context["right"]

    graph, _ = graph_of([end("7"), "S", once_decided(step(1))], [end("8")], verifier=verify)
    parent = StateGraph(Outer, context_schema=dict)
    parent.add_node("inner", graph)
    parent.set_entry_point("inner")
    assert parent.compile().invoke(QUESTION, context={"right": "8"})["answer"] == "8"


def test_a_bound_config_keeps_its_concurrency() -> None:
    graph, model = graph_of(*[[end("7")]] * 5)
    result = graph.with_config(max_concurrency=1).invoke(QUESTION)
    assert [record["epochs"] for record in result["paths"]] == [1, 1, 1, 0, 0]
    assert len(model.asked) == 3
