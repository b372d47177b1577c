"""Several paths with messages in and out: conversations, tool calls, streams of tokens and of events, the view."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from path_models import PathModel, end, once_decided, step, when
from rich.console import Console

from inftythink_graph import create_inftythink_graph
from inftythink_graph.view import RunView

QUESTION = {"question": "What?"}


def graph_of(*scripts: list[Any], **options: Any) -> tuple[Any, PathModel]:
    model = PathModel(scripts=list(scripts))
    given = {"protocol": "native", "seed": 0, "num_paths": len(scripts), **options}
    return create_inftythink_graph(model, **given), model


def calling(query: str, number: int) -> AIMessage:
    call = {"name": "search", "args": {"query": query}, "id": f"c{number}", "type": "tool_call"}
    return AIMessage("<think>\nI must look this up.\n</think>\n\n", tool_calls=[call])


def test_the_answer_is_one_message_with_the_usage_of_all_paths() -> None:
    graph, _ = graph_of([step(1), end("7")], [end("8")], [step(1), end("7")])
    turns = [HumanMessage("Hi"), AIMessage("Hello"), HumanMessage("What?")]
    result = graph.invoke({"messages": turns})
    assert [message.type for message in result["messages"]] == ["human", "ai", "human", "ai"]
    answer = result["messages"][-1]
    assert answer.text == result["conclusion"] == "It is \\boxed{7}."
    assert answer.response_metadata == {"status": "answered", "epochs": 2}
    assert answer.usage_metadata["output_tokens"] == result["usage"]["completion_tokens"]
    assert answer.usage_metadata["input_tokens"] == result["usage"]["prompt_tokens"]


def test_a_conversation_goes_on_in_its_thread() -> None:
    graph, model = graph_of([end("7")], [end("7")], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.invoke({"messages": ["first"]}, config)
    model.scripts = [[end("8")], [end("8")]]
    result = graph.invoke({"messages": ["second"]}, config)
    assert [message.text for message in result["messages"]] == [
        "first",
        "It is \\boxed{7}.",
        "second",
        "It is \\boxed{8}.",
    ]
    assert len({message.id for message in result["messages"]}) == 4


def test_paths_vote_for_tool_calls_as_well() -> None:
    graph, _ = graph_of([calling("a", 1)], [end("7")], [calling("b", 2)], [calling("b", 3)])
    result = graph.invoke(QUESTION)
    assert [call["args"] for call in result["messages"][-1].tool_calls] == [{"query": "b"}]
    assert (result["status"], result["answer"]) == ("answered", None)
    assert [(count["votes"], count["paths"]) for count in result["votes"]] == [(2, [3, 4]), (1, [1]), (1, [2])]
    graph, _ = graph_of([calling("a", 1)], [end("7")], [end("7")])
    assert graph.invoke(QUESTION)["answer"] == "7"


def test_a_verified_answer_comes_before_tool_calls() -> None:
    graph, model = graph_of([calling("a", 1)], [calling("a", 2)], [end("7")], verifier=lambda _: True)
    model.scripts[2] = [when(lambda: model.requests(1) == model.requests(2) == 1, end("7"))]
    assert graph.invoke(QUESTION)["answer"] == "7"
    graph, _ = graph_of([calling("a", 1)], [end("6")], verifier=lambda _: False, max_epochs=1)
    assert graph.invoke(QUESTION)["messages"][-1].tool_calls


def test_whoever_reads_texts_reads_the_winning_answer_alone() -> None:
    graph, _ = graph_of([step(1), end("7")], [end("8")])
    chunks = [chunk for chunk, _ in graph.stream(QUESTION, stream_mode="messages")]
    assert [chunk.text for chunk in chunks] == ["It is \\boxed{8}."]


async def test_with_subgraphs_the_tokens_of_the_paths_are_told_apart() -> None:
    graph, _ = graph_of([step(1), end("7")], [end("8")])
    texts: dict[tuple[Any, ...], dict[str | None, list[str]]] = defaultdict(lambda: defaultdict(list))
    ids: dict[str, tuple[Any, ...]] = {}
    async for namespace, (chunk, _) in graph.astream(QUESTION, stream_mode="messages", subgraphs=True):
        assert isinstance(chunk, AIMessageChunk)  # the answer doesn't come a second time as a whole
        texts[namespace][chunk.name].append(chunk.text)
        assert ids.setdefault(chunk.id, namespace) == namespace  # no two paths share an id
    assert sorted(parts["conclusion"] for parts in texts.values()) == [["It is \\boxed{7}."], ["It is \\boxed{8}."]]


def test_events_say_which_path_and_the_run_ends_once() -> None:
    slow = [step(1), once_decided(step(2))]
    graph, model = graph_of([end("7")], [end("7")], slow)
    model.scripts[0] = [when(lambda: model.requests(3) == 2, end("7"))]
    alone = list(graph.stream(QUESTION, stream_mode="custom"))
    assert [(event["event"], event["answer"]) for event in alone] == [("run_ended", "7")]
    assert "path" not in alone[0]

    model.asked.clear()
    events = [event for _, event in graph.stream(QUESTION, stream_mode="custom", subgraphs=True)]
    assert [event["event"] for event in events].count("run_ended") == 1
    assert events[-1]["event"] == "run_ended"
    ended = {event["path"]: event["status"] for event in events if event["event"] == "path_ended"}
    assert ended == {1: "answered", 2: "answered", 3: "stopped"}
    third = [event["event"] for event in events if event.get("path") == 3]
    assert third == ["epoch_started", "segment_done", "summary_done", "epoch_started", "segment_done", "path_ended"]


@pytest.mark.parametrize("subgraphs", [False, True])
def test_the_view_takes_the_events_of_several_paths(subgraphs: bool) -> None:
    graph, _ = graph_of([step(1), end("7")], [step(1), end("7")])
    output = io.StringIO()
    view = RunView(Console(file=output, width=120), window=100, max_epochs=9)
    for item in graph.stream(QUESTION, stream_mode="custom", subgraphs=subgraphs):
        view.event(item[1] if subgraphs else item)
    lines = output.getvalue().splitlines()
    assert lines[-1].startswith("epoch   2")
    assert sum(line.startswith(("path  1", "path  2")) for line in lines) == (4 if subgraphs else 0)
