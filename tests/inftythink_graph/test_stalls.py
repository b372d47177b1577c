"""Summaries that come again: noticed, and answered as configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inftythink_graph import InvalidInputError, Protocol, create_inftythink_graph
from inftythink_graph.stalls import MEMORY, note_summary

Scripted = Callable[..., Any]
NATIVE = Protocol()


def epoch(summary: str) -> str:
    return NATIVE.completion("thinking", summary=summary)


def end(answer: str) -> str:
    return NATIVE.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")


def temperatures(model: Any) -> list[float]:
    return [options["temperature"] for _, options in model.calls]


def test_a_circle_of_summaries_is_noticed(scripted: Scripted) -> None:
    script = [epoch(f"S{number % 3}") for number in range(40)]
    result = create_inftythink_graph(scripted(*script), protocol="native", on_exhausted="return").invoke(
        {"question": "q"}
    )
    assert result["status"] == "stalled"
    assert result["epochs"] == 7  # three new ones, three that were there before, noticed at the end of the next


def test_white_space_makes_no_summary_new(scripted: Scripted) -> None:
    script = [epoch("a  b" + " " * number + "c") for number in range(40)]
    result = create_inftythink_graph(scripted(*script), protocol="native", on_exhausted="return").invoke(
        {"question": "q"}
    )
    assert result["status"] == "stalled"


def test_progress_in_between_counts_anew(scripted: Scripted) -> None:
    summaries = ["A", "A", "A", "B", "B", "B", "C", "C", "C"]
    model = scripted(*map(epoch, summaries), end("7"))
    result = create_inftythink_graph(model, protocol="native").invoke({"question": "q"})
    assert (result["status"], result["answer"], result["epochs"]) == ("answered", "7", 10)


def test_a_stalled_run_is_heated_until_the_summary_is_a_new_one(scripted: Scripted) -> None:
    model = scripted(*map(epoch, ["A", "A", "A", "A", "B", "C"]), end("7"))
    graph = create_inftythink_graph(
        model, protocol="native", temperature=0.2, on_stall="heat", stall_temperature=0.9, stall_after=2
    )
    events = list(graph.stream({"question": "q"}, stream_mode="custom"))
    # Two repeats are there after the third epoch, so the fourth and the fifth are heated; B, in the fifth, is new.
    assert temperatures(model) == [0.2, 0.2, 0.2, 0.9, 0.9, 0.2, 0.2]
    noticed = [event for event in events if event["event"] == "stall_noticed"]
    assert [(event["epoch"], event["repeats"], event["temperature"]) for event in noticed] == [(4, 2, 0.9), (5, 3, 0.9)]
    assert events[-1]["status"] == "answered"


def test_heat_that_doesn_t_help_ends_as_a_stall(scripted: Scripted) -> None:
    model = scripted(*[epoch("A")] * 20, "My best is \\boxed{5}.")
    graph = create_inftythink_graph(model, protocol="native", on_stall="heat", stall_after=2, on_exhausted="return")
    result = graph.invoke({"question": "q"})
    assert (result["status"], result["epochs"]) == ("stalled", 6)


def test_the_run_s_own_temperature_is_never_lowered(scripted: Scripted) -> None:
    model = scripted(epoch("A"))
    graph = create_inftythink_graph(
        model, protocol="native", temperature=1.4, on_stall="heat", stall_after=2, on_exhausted="return"
    )
    graph.invoke({"question": "q"})
    assert set(temperatures(model)) == {1.4}


def test_a_new_question_on_a_thread_starts_without_memories(scripted: Scripted) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    model = scripted(epoch("A"), epoch("B"), end("1"), epoch("A"), epoch("B"), end("2"))
    graph = create_inftythink_graph(model, protocol="native", stall_after=2, checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    assert graph.invoke({"question": "q"}, config)["answer"] == "1"
    result = graph.invoke({"question": "p"}, config)
    assert (result["answer"], result["epochs"]) == ("2", 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_stall": "wait"}, "on_stall must be one of .*'end', 'heat'.*got 'wait'"),
        ({"stall_temperature": 0}, "stall_temperature must be above 0, got 0"),
    ],
)
def test_bad_options(scripted: Scripted, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        create_inftythink_graph(scripted(""), **options)


def test_a_few_summaries_are_remembered() -> None:
    recent: list[str] = []
    for number in range(MEMORY + 5):
        recent, again = note_summary(recent, "", f"S{number}")
        assert not again
    assert len(recent) == MEMORY
    assert note_summary(recent, "", f"S{MEMORY + 4}") == (recent, True)
    assert not note_summary(recent, "", "S0")[1]


def test_a_segment_that_says_one_thing_over_and_over_is_summarized_from_one_copy(scripted: Scripted) -> None:
    model = scripted(("<think>\nx = 3. " + "Wait, let me check that again. " * 30, "length"), "x is 3", end("3"))
    result = create_inftythink_graph(model, protocol="native", keep_trace=True).invoke({"question": "q"})
    assert result["trace"][0]["segment"] == "x = 3. Wait, let me check that again\n[...]"
    asked = "".join(str(message.content) for message in model.calls[1][0])
    assert asked.count("Wait, let me check") == 1
    assert result["answer"] == "3"
