"""Summaries near the budget are counted until their kind is known, and again where one may exceed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inftythink_graph import create_inftythink_graph
from inftythink_graph.nodes.lengths import SummaryLengths

Scripted = Callable[..., Any]


def lengths(*counted: tuple[str, int]) -> SummaryLengths:
    known = SummaryLengths()
    for summary, tokens in counted:
        known.counted(summary, tokens)
    return known


def test_nothing_is_relied_on_before_three_are_counted() -> None:
    assert not lengths(*[("x" * 10, 5)] * 2).likely_within("x" * 10, 100)
    assert lengths(*[("x" * 10, 5)] * 3).likely_within("x" * 10, 100)


def test_the_densest_decides_with_a_margin() -> None:
    known = lengths(("x" * 10, 5), ("x" * 10, 10), ("x" * 10, 2))
    assert known.likely_within("x" * 100, 105)
    assert not known.likely_within("x" * 100, 104)


def test_what_was_dense_long_ago_is_forgotten() -> None:
    known = lengths(("x", 1), *[("x" * 10, 5)] * 32)
    assert known.likely_within("x" * 100, 60)


def test_an_empty_summary_is_no_division_by_zero() -> None:
    assert lengths(*[("", 0)] * 3).likely_within("", 1)


def said(summary: str) -> str:
    return f"<think>\na b\n</think>\n<summary>\n{summary}\n</summary>"


END = "<think>\nx\n</think>\n\\boxed{1}"
NAMES = [f"one two three four five six seven nin{i}" for i in range(8)]


def run(model: Any) -> dict[str, Any]:
    graph = create_inftythink_graph(model, protocol="native", eta=50, summary_budget=9)
    return graph.invoke({"question": "q"})


def test_a_graph_stops_counting_summaries_of_a_kind(scripted: Scripted) -> None:
    model = scripted(*map(said, NAMES), END)
    result = run(model)
    assert (result["epochs"], result["summary"]) == (9, NAMES[-1])
    assert [name for name in NAMES if name in model.counted] == NAMES[:3]


def test_one_that_may_be_longer_is_counted_and_asked_for_again(scripted: Scripted) -> None:
    long = "one two three four five six seven eight nine ten"
    model = scripted(*map(said, [*NAMES[:4], long]), "brief\n</summary>", END)
    assert run(model)["summary"] == "brief"
    assert long in model.counted
    assert NAMES[3] not in model.counted
