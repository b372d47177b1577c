"""Training rows say exactly what the reasoner asks."""

from __future__ import annotations

from typing import Any

import pytest

from datasets_build.instances import inftythink_instances, rescue_instance, vanilla_instance
from inftythink_graph.protocol import PROTOCOL_VERSION, Protocol, parse

PROTOCOLS = pytest.mark.parametrize("protocol", [Protocol(), Protocol(history="assistant")], ids=["user", "assistant"])
QUESTION, SEGMENTS, SUMMARIES, CONCLUSION = "Q?", ["r1", "r2", "r3"], ["s1", "s2"], "It is \\boxed{3}"


def _rows(protocol: Protocol, **changes: Any) -> list[Any]:
    parts = {"segments": SEGMENTS, "summaries": SUMMARIES, "conclusion": CONCLUSION, **changes}
    return inftythink_instances(QUESTION, **parts, protocol=protocol, eta=50, source="test", uuid="u1")


@PROTOCOLS
def test_one_row_for_each_segment_as_the_reasoner_would_ask(protocol: Protocol) -> None:
    rows = _rows(protocol)
    assert [row["prompt"] for row in rows] == [protocol.render(QUESTION, summary) for summary in (None, "s1", "s2")]
    assert [(row["epoch"], row["epochs"]) for row in rows] == [(1, 3), (2, 3), (3, 3)]
    assert {(row["source"], row["uuid"], row["eta"], row["protocol"]) for row in rows} == {
        ("test", "u1", 50, PROTOCOL_VERSION)
    }


@PROTOCOLS
def test_replaying_the_rows_is_a_run(protocol: Protocol) -> None:
    """Each completion, read as the reasoner reads it, leads to the prompt of the next row."""
    rows = _rows(protocol)
    for row, following, segment in zip(rows, rows[1:], SEGMENTS, strict=False):
        (turn,) = row["completion"]
        parsed = parse(turn["content"], "stop")
        assert (parsed.kind, parsed.segment) == ("summary", segment)
        assert protocol.render(QUESTION, parsed.summary) == following["prompt"]
    last = parse(rows[-1]["completion"][0]["content"], "stop")
    assert (last.kind, last.segment, last.conclusion) == ("conclusion", "r3", CONCLUSION)


@PROTOCOLS
def test_a_chain_of_one_segment_needs_no_summary(protocol: Protocol) -> None:
    (row,) = _rows(protocol, segments=["r1"], summaries=[])
    assert row["completion"] == [{"role": "assistant", "content": protocol.completion("r1", conclusion=CONCLUSION)}]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"summaries": ["s1"]}, "3 segments need 2 summaries, got 1"),
        ({"summaries": ["s1", "s2", "s3"]}, "3 segments need 2 summaries, got 3"),
        ({"segments": [], "summaries": []}, "0 segments"),
        ({"summaries": ["s1", "  "]}, "a summary is empty"),
    ],
)
def test_an_example_without_all_its_summaries_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        _rows(Protocol(), **changes)


@PROTOCOLS
@pytest.mark.parametrize("before", [None, "s1"])
def test_a_rescue_row_is_what_the_reasoner_asks_after_a_cut(protocol: Protocol, before: str | None) -> None:
    row = rescue_instance(
        QUESTION, before, "r2 cu", "s2", protocol=protocol, epoch=2, epochs=3, eta=50, source="test", uuid="u1"
    )
    assert row["prompt"] == protocol.render_summarize(QUESTION, before, "r2 cu", budget=123)
    prefill = row["prompt"][-1]["content"]
    history = protocol.render(QUESTION, before)[-1]["content"] if protocol.history == "assistant" and before else ""
    whole = prefill.removeprefix(history) + row["completion"][0]["content"]
    assert whole == protocol.completion("r2 cu", summary="s2")
    assert (row["epoch"], row["epochs"]) == (2, 3)


def test_a_vanilla_row_holds_the_whole_chain() -> None:
    row = vanilla_instance(QUESTION, "r1\nr2", CONCLUSION, protocol=Protocol(), source="test", uuid="u1")
    assert row["prompt"] == [{"role": "user", "content": QUESTION}]
    parsed = parse(row["completion"][0]["content"], "stop")
    assert (parsed.segment, parsed.conclusion) == ("r1\nr2", CONCLUSION)
    assert (row["epoch"], row["epochs"], row["eta"]) == (0, 1, 0)
