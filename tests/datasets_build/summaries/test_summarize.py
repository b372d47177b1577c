"""The summarizer: what it asks, what it accepts, and what a LangGraph component must be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from scripted_summarizer import EXAMPLE, SEGMENT, SEGMENTS, Ran, Summarizer, graph_of, words

from datasets_build.summaries.requests import varied_temperature
from datasets_build.summaries.rules import judge_reply, summary_text
from inftythink_graph import InvalidInputError
from inftythink_graph.nodes.replies import Reply
from inftythink_graph.state import no_usage


def test_every_segment_but_the_last_gets_a_summary(ran: Ran) -> None:
    model = Summarizer(script=["S1", "S2", "S3"])
    result = ran(model)
    assert result["summaries"] == ["S1", "S2", "S3"]
    assert (result["status"], result["reason"], result["defect"], result["attempts"]) == ("done", "", None, [1, 1, 1])
    assert result["usage"]["paid"]["requests"] == 3
    assert result["usage"]["reused"]["requests"] == 0
    assert set(result) == {"summaries", "status", "reason", "defect", "usage", "attempts"}


def test_requests_are_append_only_and_see_all_before(ran: Ran) -> None:
    model = Summarizer(script=["S1", "S2", "S3"])
    ran(model, EXAMPLE | {"system": "Be brief."})
    prompts = [[(message.type, message.content) for message in messages] for messages, _ in model.calls]
    for number, (before, after) in enumerate(pairwise(prompts), 1):
        assert after[: len(before) + 1] == [*before, ("ai", f"S{number}")]
        assert len(after) == len(before) + 2
    last = "".join(content for _, content in prompts[-1])
    assert all(text.strip() in last for text in ["What?", "Be brief.", *SEGMENTS[:3], "S1", "S2"])
    assert SEGMENTS[3] not in last


def test_one_segment_needs_no_request(ran: Ran) -> None:
    model = Summarizer(script=[RuntimeError("never asked")])
    result = ran(model, {"question": "q", "segments": ["all of it"]})
    assert (result["summaries"], result["status"], result["attempts"], model.calls) == ([], "done", [], [])


@pytest.mark.parametrize(
    ("bad", "defect", "words_in_reason"),
    [
        (("cut her", "length"), "truncated", "did not end by itself (length)"),
        (("again again", "repetition"), "truncated", "(repetition)"),
        (("", "stop"), "empty", "empty"),
        (("  \n", "stop"), "empty", "empty"),
        (("<think>only thoughts</think>", "stop"), "empty", "nothing but reasoning"),
        (("", "stop", "only thoughts"), "empty", "nothing but reasoning"),
        (("x " * 9, "stop"), "over-budget", "9 tokens, at most 8"),
        (("see <history>", "stop"), "tags", "has tags: <history>"),
        (("a <summary>b</summary>", "stop"), "tags", "<summary>"),
        (("a <think>b</think> c", "stop"), "tags", "<think>"),
        (("<think>never closed", "stop"), "tags", "<think>"),
        (("<thinking>b</thinking> c", "stop"), "tags", "<thinking>"),
    ],
)
def test_a_defect_is_asked_for_again_and_in_the_end_fails_the_example(
    ran: Ran, bad: tuple[str, ...], defect: str, words_in_reason: str
) -> None:
    healed = Summarizer(script=["S1", bad, "S2", "S3"])
    result = ran(healed, count=words)
    assert (result["summaries"], result["attempts"]) == (["S1", "S2", "S3"], [1, 2, 1])
    assert healed.calls[1][0] == healed.calls[2][0]

    model = Summarizer(script=["S1", bad])
    result = ran(model, count=words, max_attempts=3)
    assert (result["status"], result["summaries"], result["defect"]) == ("failed", [], defect)
    assert result["reason"].startswith("segment 2 of 4: no acceptable summary in 3 attempts")
    assert words_in_reason in result["reason"]
    assert (result["attempts"], len(model.calls)) == ([1, 3], 4)
    assert result["usage"]["paid"]["requests"] == 4


def test_a_summary_must_be_shorter_than_its_segment(ran: Ran) -> None:
    example = {"question": "q", "segments": ["just three words", "end"]}
    result = ran(Summarizer(script=["as long here"]), example, count=words)
    assert (result["status"], result["defect"]) == ("failed", "not-shorter")
    assert "3 tokens, its segment has 3" in result["reason"]
    assert ran(Summarizer(script=["shorter now"]), example, count=words)["summaries"] == ["shorter now"]
    result = ran(Summarizer(script=["many characters in few"]), example)  # without a tokenizer
    assert "22 characters, its segment has 16" in result["reason"]


def test_each_attempt_has_a_seed_and_a_temperature_of_its_own(ran: Ran) -> None:
    model = Summarizer(script=[("", "stop")])
    ran(model, max_attempts=4, seed=7, temperature=0.5, top_p=0.9)
    options = [options for _, options in model.calls]
    assert [each["seed"] for each in options] == [7, 8, 9, 10]
    temperatures = [each["temperature"] for each in options]
    assert temperatures[0] == 0.5
    assert temperatures == sorted(set(temperatures))
    assert all(after - before < 0.4 for before, after in pairwise(temperatures))
    assert all(each["top_p"] == 0.9 and each["max_tokens"] == 8 for each in options)
    other = Summarizer(script=[("", "stop")])
    ran(other, seed=None)
    assert all("seed" not in each for _, each in other.calls)


def test_the_variation_of_the_temperature_is_the_same_in_every_run() -> None:
    assert varied_temperature(0.0, 1, "a") == 0.0
    assert varied_temperature(0.3, 3, "a") == varied_temperature(0.3, 3, "a") != varied_temperature(0.3, 3, "b")
    assert varied_temperature(0.3, 100, "a") == 1.2
    assert varied_temperature(0.3, 2, "\ud800") > 0.3
    assert varied_temperature(1.5, 100, "a") == 1.5


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<think>\nlong thoughts about it\n</think>\n\nS", ""),
        ("long thoughts about it\n</think>\nS", ""),
        ("S", "long thoughts about it all"),
        ("<think>\nthoughts\n</think>\n<summary>\nS\n</summary>", ""),
        ("<summary>S</summary>", ""),
        ("<summary>\nS", ""),
    ],
)
def test_the_reasoning_of_a_reasoning_summarizer_is_stripped(ran: Ran, text: str, reasoning: str) -> None:
    model = Summarizer(script=[(text, "stop", reasoning)])
    assert ran(model, reasoning_budget=20)["summaries"] == ["S", "S", "S"]
    assert model.calls[0][1]["max_tokens"] == 28


def test_reasoning_does_not_count_against_the_budget_where_the_server_counts_both() -> None:
    usage = no_usage() | {"completion_tokens": 300}
    reply = Reply("x" * 100, "y" * 900, "stop", usage)
    assert judge_reply(reply, "z" * 500, budget=40, max_tokens=500).summary == "x" * 100
    assert judge_reply(reply, "z" * 500, budget=20, max_tokens=500).defect == "over-budget"


def test_providers_that_give_no_reason_must_have_stayed_below_the_limit() -> None:
    def judged(tokens: int) -> str | None:
        usage = no_usage() | {"completion_tokens": tokens}
        return judge_reply(Reply("fine", "", "", usage), SEGMENT, budget=50, max_tokens=50).defect

    assert [judged(tokens) for tokens in (0, 5, 50)] == ["truncated", None, "truncated"]


def test_text_before_a_think_block_is_not_thrown_away_in_silence() -> None:
    assert summary_text("The sum is 7. <think>hm</think> And") == "The sum is 7. <think>hm</think> And"


def test_nodes_and_edges_are_those_of_the_docstring() -> None:
    drawn = graph_of(Summarizer(script=["S"])).get_graph()
    assert set(drawn.nodes) == {"__start__", "prepare", "request", "judge", "__end__"}
    assert {(edge.source, edge.target) for edge in drawn.edges} == {
        ("__start__", "prepare"),
        ("prepare", "request"),
        ("prepare", "__end__"),
        ("request", "judge"),
        ("request", "__end__"),
        ("judge", "request"),
        ("judge", "__end__"),
    }


def test_no_recursion_limit_cuts_a_long_chain_short() -> None:
    class Parent(TypedDict):
        question: str
        segments: list[str]
        summaries: list[str]

    example = {"question": "q", "segments": [f"{number} {SEGMENT}" for number in range(40)]}
    graph = graph_of(Summarizer(script=["S"]))
    builder = StateGraph(Parent)
    builder.add_node("summarizer", graph)
    builder.set_entry_point("summarizer")
    results = [
        graph.invoke(example, {"recursion_limit": 3}),
        (RunnableLambda(lambda given: given) | graph).invoke(example),
        builder.compile().invoke(example, {"recursion_limit": 5}),
    ]
    assert all(len(result["summaries"]) == 39 for result in results)


def test_a_reused_thread_starts_anew() -> None:
    graph = graph_of(Summarizer(script=["S1", "S2", "S3", "T1"]), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    assert graph.invoke(EXAMPLE, config)["summaries"] == ["S1", "S2", "S3"]
    second = graph.invoke({"question": "q", "segments": SEGMENTS[:2]}, config)
    assert (second["summaries"], second["usage"]["paid"]["requests"]) == (["T1"], 1)


@pytest.mark.parametrize(
    "example",
    [
        {"question": " ", "segments": ["a"]},
        {"question": None, "segments": ["a"]},
        {"question": "q", "segments": []},
        {"question": "q", "segments": "abc"},
        {"question": "q", "segments": ["a", " "]},
        {"question": "q", "segments": ["a", None]},
    ],
)
def test_an_example_that_cant_be_summarized_is_named(ran: Ran, example: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="must be a"):
        ran(Summarizer(script=["S"]), example)


@pytest.mark.parametrize(
    "options",
    [
        {"summary_budget": 0},
        {"window": 0},
        {"temperature": -1},
        {"top_p": 0},
        {"max_attempts": 0},
        {"reasoning_budget": -1},
        {"transport_tries": 0},
        {"backoff": -1},
    ],
)
def test_options_outside_what_is_allowed_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        graph_of(Summarizer(script=["S"]), **options)
