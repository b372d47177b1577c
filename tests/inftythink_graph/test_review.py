"""A human in the loop: pauses, verdicts, edits; nothing that was paid for is asked for again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.types import Command, interrupt

from inftythink_graph import (
    Candidate,
    InvalidInputError,
    Protocol,
    Verdict,
    create_inftythink_graph,
    human_verifier,
)

Scripted = Callable[..., Any]
CONFIG: Any = {"configurable": {"thread_id": "t"}}
QUESTION: Any = {"question": "q"}
NATIVE = Protocol()


def epoch(segment: str, summary: str) -> str:
    return NATIVE.completion(segment, summary=summary)


def end(answer: str) -> str:
    return NATIVE.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")


@pytest.fixture(params=["sync", "async"])
def invoke(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a graph blocking or not."""

    async def invoke(graph: Any, given: Any, **options: Any) -> Any:
        if request.param == "sync":
            return graph.invoke(given, CONFIG, **options)
        return await graph.ainvoke(given, CONFIG, **options)

    return invoke


def review(result: Any) -> dict[str, Any]:
    (pause,) = result["__interrupt__"]
    value: dict[str, Any] = pause.value
    return value


async def test_a_human_accepts(scripted: Scripted, invoke: Any) -> None:
    model = scripted(epoch("a", "S1"), end("6"))
    graph = create_inftythink_graph(
        model, protocol="native", verifier=human_verifier, checkpointer=InMemorySaver(), keep_trace=True
    )
    paused = await invoke(graph, QUESTION)
    expected = {"question": "q", "answer": "6", "conclusion": "It is \\boxed{6}.", "epoch": 2, "problem": ""}
    assert review(paused) == expected
    assert paused["status"] is None
    assert graph.get_state(CONFIG).next == ("check_answer",)
    result = await invoke(graph, Command(resume=True))
    assert (result["answer"], result["status"], result["epochs"]) == ("6", "answered", 2)
    assert result["usage"]["requests"] == len(model.calls) == len(result["trace"]) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (False, "a human turned it down"),
        ({"accepted": False, "reason": "it must be odd"}, "it must be odd"),
        (Verdict(False, "it must be odd"), "it must be odd"),
    ],
)
async def test_a_human_rejects_and_the_model_reads_why(
    scripted: Scripted, invoke: Any, reply: Any, reason: str
) -> None:
    model = scripted(end("6"), "S1\n</summary>", end("7"))
    graph = create_inftythink_graph(model, protocol="native", verifier=human_verifier, checkpointer=InMemorySaver())
    await invoke(graph, QUESTION)
    assert review(await invoke(graph, Command(resume=reply)))["answer"] == "7"
    assert f"The answer 6 was checked and rejected: {reason}." in model.calls[2][0][-1].content
    result = await invoke(graph, Command(resume={"accepted": True}))
    assert (result["answer"], result["status"], len(model.calls)) == ("7", "answered", 3)


@pytest.mark.parametrize("reply", ["yes", 1, {"accepted": "no"}, {"accepted": True, "answer": "8"}])
def test_what_is_no_verdict_pauses_again(scripted: Scripted, saver: BaseCheckpointSaver[Any], reply: Any) -> None:
    model = scripted(end("6"))
    graph = create_inftythink_graph(model, protocol="native", verifier=human_verifier, checkpointer=saver)
    graph.invoke(QUESTION, CONFIG)
    again = review(graph.invoke(Command(resume=reply), CONFIG))
    assert "is no verdict; allowed: True, False, {'accepted': bool, 'reason': str}" in again["problem"]
    assert graph.invoke(Command(resume=True), CONFIG)["status"] == "answered"
    assert len(model.calls) == 1


@pytest.mark.parametrize(("reply", "status"), [(True, "answered"), (False, "rejected")])
async def test_a_forced_answer_is_asked_for_once(scripted: Scripted, invoke: Any, reply: bool, status: str) -> None:
    """The human judges the answer that was seen, not another sample of it."""
    model = scripted(epoch("a", "S1"), "My best is \\boxed{5}.", "Or is it \\boxed{6}?")
    graph = create_inftythink_graph(
        model,
        protocol="native",
        max_epochs=1,
        verifier=human_verifier,
        checkpointer=InMemorySaver(),
        keep_trace=True,
    )
    assert review(await invoke(graph, QUESTION))["answer"] == "5"
    result = await invoke(graph, Command(resume=reply))
    assert (result["answer"], result["status"], result["epochs"]) == ("5", status, 1)
    assert len(model.calls) == result["usage"]["requests"] == len(result["trace"][0]["contexts"]) == 2


async def test_a_program_asks_a_human_only_where_it_is_in_doubt(scripted: Scripted, invoke: Any) -> None:
    def check(candidate: Candidate) -> Verdict:
        return Verdict(True) if candidate.answer == "7" else human_verifier(candidate)

    model = scripted(end("6"), "S1\n</summary>", end("7"))
    graph = create_inftythink_graph(model, protocol="native", verifier=check, checkpointer=InMemorySaver())
    assert review(await invoke(graph, QUESTION))["answer"] == "6"
    assert (await invoke(graph, Command(resume=False)))["answer"] == "7"
    assert len(model.calls) == 3


async def test_a_coroutine_function_may_interrupt(scripted: Scripted) -> None:
    async def check(candidate: Candidate) -> bool:
        return bool(interrupt(candidate.answer))

    graph = create_inftythink_graph(scripted(end("6")), protocol="native", verifier=check, checkpointer=InMemorySaver())
    assert review(await graph.ainvoke(QUESTION, CONFIG)) == "6"
    assert (await graph.ainvoke(Command(resume=True), CONFIG))["status"] == "answered"


async def test_a_pause_before_the_check_goes_on_with_none(scripted: Scripted, invoke: Any) -> None:
    model = scripted(epoch("a", "S1"), end("6"))
    graph = create_inftythink_graph(
        model, protocol="native", checkpointer=InMemorySaver(), interrupt_before=["check_answer"]
    )
    await invoke(graph, QUESTION)
    state = graph.get_state(CONFIG)
    assert (state.next, state.values["epoch"]["kind"], state.values["epoch"]["segment"]) == (
        ("check_answer",),
        "summary",
        "a",
    )
    await invoke(graph, None)
    assert graph.get_state(CONFIG).values["epoch"]["conclusion"] == "It is \\boxed{6}."
    assert (await invoke(graph, None))["status"] == "answered"
    assert len(model.calls) == 2


def test_a_conclusion_is_edited_at_the_pause(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    model = scripted(end("6"))
    graph = create_inftythink_graph(
        model, protocol="native", checkpointer=saver, interrupt_before=["check_answer"], keep_trace=True
    )
    graph.invoke(QUESTION, CONFIG)
    record = graph.get_state(CONFIG).values["epoch"]
    graph.update_state(CONFIG, {"epoch": {**record, "conclusion": "It is \\boxed{8}."}}, as_node="reason")
    result = graph.invoke(None, CONFIG)
    assert (result["answer"], result["status"], result["conclusion"]) == ("8", "answered", "It is \\boxed{8}.")
    assert [record["answer"] for record in result["trace"]] == ["8"]
    assert result["messages"][-1].text == "It is \\boxed{8}."
    assert len(model.calls) == 1


def test_a_conclusion_is_rejected_at_the_pause(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    model = scripted(end("6"), "S1\n</summary>", end("7"))
    graph = create_inftythink_graph(
        model, protocol="native", checkpointer=saver, interrupt_before=["check_answer"], keep_trace=True
    )
    graph.invoke(QUESTION, CONFIG)
    record = {**graph.get_state(CONFIG).values["epoch"], "answer": "6", "verdict": "it must be odd"}
    graph.update_state(CONFIG, {"epoch": record, "status": None}, as_node="check_answer")
    graph.invoke(None, CONFIG)
    assert "The answer 6 was checked and rejected: it must be odd." in model.calls[2][0][-1].content
    result = graph.invoke(None, CONFIG)
    assert (result["answer"], result["status"], result["epochs"], len(model.calls)) == ("7", "answered", 2, 3)
    assert [record["verdict"] for record in result["trace"]] == ["it must be odd", ""]


def test_an_edited_conclusion_is_reviewed_again(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    model = scripted(end("6"))
    graph = create_inftythink_graph(model, protocol="native", verifier=human_verifier, checkpointer=saver)
    graph.invoke(QUESTION, CONFIG)
    record = graph.get_state(CONFIG).values["epoch"]
    graph.update_state(CONFIG, {"epoch": {**record, "conclusion": "It is \\boxed{8}."}}, as_node="reason")
    assert review(graph.invoke(None, CONFIG))["answer"] == "8"
    result = graph.invoke(Command(resume=True), CONFIG)
    assert (result["answer"], result["status"], len(model.calls)) == ("8", "answered", 1)


class Outer(TypedDict, total=False):
    question: str
    answer: str
    trace: list[Any]


async def test_in_a_graph_of_others(scripted: Scripted, invoke: Any) -> None:
    """As a subgraph it pauses and resumes with its parent, on the parent's checkpointer, and starts afresh with it."""
    model = scripted(epoch("a", "S1"), end("6"), "S2\n</summary>", end("7"), end("8"))
    parent = StateGraph(Outer)
    parent.add_node(
        "think", create_inftythink_graph(model, protocol="native", verifier=human_verifier, keep_trace=True)
    )
    parent.set_entry_point("think")
    graph = parent.compile(checkpointer=InMemorySaver())
    assert review(await invoke(graph, QUESTION))["answer"] == "6"
    assert review(await invoke(graph, Command(resume=False)))["answer"] == "7"
    result = await invoke(graph, Command(resume=True))
    assert (result["answer"], len(model.calls)) == ("7", 4)
    assert [record["epoch"] for record in result["trace"]] == [1, 2, 3]
    assert review(await invoke(graph, QUESTION))["answer"] == "8"
    result = await invoke(graph, Command(resume=True))
    assert [record["answer"] for record in result["trace"]] == ["8"]


@pytest.mark.parametrize("option", ["interrupt_before", "interrupt_after"])
def test_pauses_are_checked_against_the_nodes(scripted: Scripted, option: str) -> None:
    options: dict[str, Any] = {option: ["check"]}
    with pytest.raises(InvalidInputError, match=rf"{option} names 'check'.*allowed: reason, check_answer, summarize"):
        create_inftythink_graph(scripted(""), **options)
    for allowed in ("*", ["reason"], ("summarize",), "check_answer"):
        create_inftythink_graph(scripted(""), **{option: allowed})  # type: ignore[arg-type]


def test_a_pause_after_every_node(scripted: Scripted) -> None:
    graph = create_inftythink_graph(
        scripted(epoch("a", "S1"), end("6")), protocol="native", checkpointer=InMemorySaver(), interrupt_after="*"
    )
    graph.invoke(QUESTION, CONFIG)
    pauses = [graph.get_state(CONFIG).next]
    while graph.get_state(CONFIG).next:
        graph.invoke(None, CONFIG)
        pauses.append(graph.get_state(CONFIG).next)
    assert pauses == [("check_answer",), ("summarize",), ("reason",), ("check_answer",), ()]
