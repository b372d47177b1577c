"""Back to an earlier epoch, and on from there with another summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from inftythink_graph import InftyThinkContext, Protocol, create_inftythink_graph

Scripted = Callable[..., Any]
CONFIG: Any = {"configurable": {"thread_id": "t"}}
NATIVE = Protocol()


def epoch(number: int) -> str:
    return NATIVE.completion(f"segment {number}", summary=f"S{number}")


def end(answer: str) -> str:
    return NATIVE.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")


def after_epoch(history: Any, number: int) -> Any:
    """The state from which the epoch after ``number`` starts."""
    return next(state for state in history if state.next == ("reason",) and state.values.get("epochs") == number)


def test_the_run_goes_on_from_the_edited_summary(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    model = scripted(epoch(1), epoch(2), epoch(3), end("1"), epoch(9), end("2"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=saver, keep_trace=True)
    first = graph.invoke({"question": "q"}, CONFIG)
    state = after_epoch(graph.get_state_history(CONFIG), 2)
    assert state.values["summary"] == "S2"
    edited = graph.update_state(state.config, {"summary": "Better: S2"}, as_node="summarize")
    second = graph.invoke(None, edited)
    assert model.calls[4][0][-1].content == NATIVE.render("q", "Better: S2")[0]["content"]
    assert (second["answer"], second["status"], second["epochs"], second["summary"]) == ("2", "answered", 4, "S9")
    assert second["usage"]["requests"] == 4  # of this branch: the first run's third and fourth are not in it
    assert [record["segment"] for record in second["trace"]] == ["segment 1", "segment 2", "segment 9", "done"]
    assert [record["segment"] for record in first["trace"]][2] == "segment 3"
    assert graph.get_state(CONFIG).values["answer"] == "2"  # the thread's head is the new branch
    assert len(model.calls) == 6


async def test_in_asynchronous_runs(scripted: Scripted) -> None:
    model = scripted(epoch(1), epoch(2), end("1"), end("2"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=InMemorySaver(), keep_trace=True)
    await graph.ainvoke({"messages": [{"role": "user", "content": "q"}]}, CONFIG)
    history = [state async for state in graph.aget_state_history(CONFIG)]
    edited = await graph.aupdate_state(after_epoch(history, 1).config, {"summary": "Other"}, as_node="summarize")
    result = await graph.ainvoke(None, edited)
    assert (result["answer"], result["epochs"], result["summary"]) == ("2", 2, "Other")
    assert model.calls[3][0][-1].content == NATIVE.render("q", "Other")[0]["content"]
    assert [message.type for message in result["messages"]] == ["human", "ai"]


def test_several_branches_of_one_thread_keep_their_own_traces(
    scripted: Scripted, saver: BaseCheckpointSaver[Any]
) -> None:
    model = scripted(epoch(1), epoch(2), end("1"), epoch(7), end("7"), end("8"), end("9"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=saver, keep_trace=True)
    graph.invoke({"question": "q"}, CONFIG)
    start = after_epoch(list(graph.get_state_history(CONFIG)), 1).config
    heads = []
    for summary in ("A", "B"):
        branch = graph.update_state(start, {"summary": summary}, as_node="summarize")
        graph.invoke(None, branch)
        heads.append(graph.get_state(CONFIG).config)
    repeated = graph.invoke(None, start)  # without an edit: the epoch is thought once more
    traces = [graph.get_state(head).values["trace"] for head in heads] + [repeated["trace"]]
    assert [[record["segment"] for record in trace] for trace in traces] == [
        ["segment 1", "segment 7", "done"],
        ["segment 1", "done"],
        ["segment 1", "done"],
    ]
    assert [graph.get_state(head).values["answer"] for head in heads] == ["7", "8"]
    assert (repeated["answer"], repeated["summary"]) == ("9", "S1")


def test_a_run_out_of_epochs_is_given_more(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    """Back to the check that found none left, and on with a higher limit."""
    model = scripted(epoch(1), epoch(2), epoch(3), end("5"))
    graph = create_inftythink_graph(
        model, protocol="native", max_epochs=2, on_exhausted="return", checkpointer=saver, keep_trace=True
    )
    assert graph.invoke({"question": "q"}, CONFIG)["status"] == "exhausted"
    last = next(state for state in graph.get_state_history(CONFIG) if state.next == ("check_answer",))
    result = graph.invoke(None, last.config, context=InftyThinkContext(max_epochs=8))
    assert (result["answer"], result["status"], result["epochs"]) == ("5", "answered", 4)
    assert [record["epoch"] for record in result["trace"]] == [1, 2, 3, 4]
    assert len(model.calls) == 4
