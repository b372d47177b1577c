"""A thread that is used again: the next question starts cleanly, however the last run on it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from power_cut import BreaksOff, PowerCutError

from inftythink_graph import InftyThinkContext, Protocol, create_inftythink_graph

Scripted = Callable[..., Any]
Ask = Callable[..., Any]
CONFIG: Any = {"configurable": {"thread_id": "t"}}
NATIVE = Protocol()


def epoch(segment: str, summary: str) -> str:
    return NATIVE.completion(segment, summary=summary)


def end(answer: str) -> str:
    return NATIVE.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")


@pytest.fixture(params=["question", "messages"])
def ask(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """A question in the graph's two forms of input."""
    if request.param == "question":
        return lambda text: {"question": text}
    return lambda text: {"messages": [{"role": "user", "content": text}]}


SECOND = (epoch("b", "S2"), end("2"))  # what the model says to the second question: two epochs


def _is_clean(result: Any) -> None:
    """Whether a result is that of SECOND alone."""
    assert (result["answer"], result["status"], result["epochs"], result["summary"]) == ("2", "answered", 2, "S2")
    assert result["usage"]["requests"] == 2
    assert [record["epoch"] for record in result["trace"]] == [1, 2]
    assert [record["segment"] for record in result["trace"]] == ["b", "done"]


ENDINGS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "answered": ([epoch("a", "S1"), end("1")], {}),
    "exhausted": ([epoch("a", "S1"), epoch("a2", "S1b")], {"max_epochs": 2, "on_exhausted": "return"}),
    "rejected": ([end("1"), "S1\n</summary>", end("1")], {"max_epochs": 2, "verifier": lambda it: it.answer == "2"}),
    "stalled": ([epoch("a", "S1")] * 4, {"stall_after": 2, "on_exhausted": "return"}),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_next_question_starts_cleanly(
    scripted: Scripted, saver: BaseCheckpointSaver[Any], ask: Ask, ending: str
) -> None:
    script, options = ENDINGS[ending]
    model = scripted(*script, *SECOND)
    graph = create_inftythink_graph(model, protocol="native", checkpointer=saver, keep_trace=True, **options)
    first = graph.invoke(ask("first"), CONFIG)
    assert (first["status"], len(first["trace"])) == (ending, first["epochs"])
    assert len(model.calls) == len(script)
    _is_clean(graph.invoke(ask("second"), CONFIG))
    prompt = model.calls[len(script)][0]
    assert prompt[-1].content == "second"
    assert not any("S1" in str(message.content) for message in prompt)


async def test_the_next_question_starts_cleanly_in_asynchronous_runs(scripted: Scripted, ask: Ask) -> None:
    script, options = ENDINGS["rejected"]
    graph = create_inftythink_graph(
        scripted(*script, *SECOND), protocol="native", checkpointer=InMemorySaver(), keep_trace=True, **options
    )
    assert (await graph.ainvoke(ask("first"), CONFIG))["status"] == "rejected"
    _is_clean(await graph.ainvoke(ask("second"), CONFIG))


@pytest.mark.parametrize("second", ["second", "first"])
@pytest.mark.parametrize("calls", [0, 1, 2])
async def test_the_next_question_starts_cleanly_after_a_run_that_broke_off(
    scripted: Scripted, saver: BaseCheckpointSaver[Any], ask: Ask, calls: int, second: str
) -> None:
    """Also where it is the same question: to go on with a run, it is invoked with None."""
    first = [epoch("a", "S1"), epoch("a2", "S1b")][:calls]
    graph = create_inftythink_graph(
        scripted(*first, *SECOND, *first, *SECOND), protocol="native", checkpointer=saver, keep_trace=True
    )
    with pytest.raises(PowerCutError):
        graph.invoke(ask("first"), {**CONFIG, "callbacks": [BreaksOff(calls)]})
    _is_clean(graph.invoke(ask(second), CONFIG))
    if isinstance(saver, InMemorySaver):
        other: Any = {"configurable": {"thread_id": "async"}}
        with pytest.raises(PowerCutError):
            await graph.ainvoke(ask("first"), {**other, "callbacks": [BreaksOff(calls)]})
        _is_clean(await graph.ainvoke(ask(second), other))


def test_a_conversation_goes_on_over_the_runs_of_a_thread(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    model = scripted(epoch("a", "S1"), end("1"), *SECOND)
    graph = create_inftythink_graph(model, protocol="native", checkpointer=saver)
    graph.invoke({"messages": [HumanMessage("first")]}, CONFIG)
    result = graph.invoke({"messages": [HumanMessage("second")]}, CONFIG)
    assert [message.type for message in result["messages"]] == ["human", "ai", "human", "ai"]
    assert [message.text for message in model.calls[2][0]] == ["first", "It is \\boxed{1}.", "second"]
    assert isinstance(result["messages"][-1], AIMessage)


def test_no_trace_of_the_last_question_is_left(scripted: Scripted, saver: BaseCheckpointSaver[Any], ask: Ask) -> None:
    graph = create_inftythink_graph(scripted(*SECOND, *SECOND, *SECOND), protocol="native", checkpointer=saver)
    kept = InftyThinkContext(keep_trace=True)
    _is_clean(graph.invoke(ask("first"), CONFIG, context=kept))
    assert "trace" not in graph.invoke(ask("second"), CONFIG)
    assert not graph.get_state(CONFIG).values["records"]
    _is_clean(graph.invoke(ask("third"), CONFIG, context=kept))


def test_a_trace_that_was_stored_is_the_one_that_was_made(scripted: Scripted, saver: BaseCheckpointSaver[Any]) -> None:
    """A resumed run returns the very objects that it would have returned in one go."""
    script = (epoch("a", "S1"), ("<think>\nb", "length"), "S2\n</summary>", epoch("c", "S3"), end("1"))
    one = create_inftythink_graph(scripted(*script), protocol="native", keep_trace=True).invoke({"question": "q"})
    graph = create_inftythink_graph(scripted(*script), protocol="native", keep_trace=True, checkpointer=saver)
    graph.invoke({"question": "q"}, CONFIG, interrupt_after=["summarize"])
    for _ in range(3):
        result = graph.invoke(None, CONFIG, interrupt_after=["summarize"])
    for run in (one, result):
        for usage in (run["usage"], *(record["usage"] for record in run["trace"])):
            usage["seconds"] = 0.0
    assert result["trace"] == one["trace"]
    assert result["usage"] == one["usage"]
