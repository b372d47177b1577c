"""The funnel: nothing uncounted, and parts add up to the whole in any order."""

from __future__ import annotations

import io
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from datasets_build.sources.funnel import STAGES, Funnel
from datasets_build.sources.losses import Reason

names = st.sampled_from([*STAGES, "else"])
events = st.lists(
    st.tuples(
        names, st.sampled_from(["", *list(Reason)[:4]]), st.integers(1, 9), st.sampled_from(["", "a:1", "b", "cc:22"])
    ),
    max_size=30,
)


def _funnel(happened: list[tuple[str, str, int, str]]) -> Funnel:
    funnel = Funnel()
    for stage, reason, number, detail in happened:
        funnel.enter(stage, number)
        if reason:
            funnel.lose(stage, reason, number, detail=detail)
    return funnel


@given(events)
def test_what_enters_a_stage_passes_it_or_is_lost_for_a_reason(happened: list[tuple[str, str, int, str]]) -> None:
    funnel = _funnel(happened)
    for stage in (*STAGES, "else"):
        entered = sum(number for name, _, number, _ in happened if name == stage)
        assert funnel.entered(stage) == entered
        assert funnel.passed(stage) + sum(funnel.losses(stage).values()) == entered
        assert funnel.lost(stage) == sum(funnel.losses(stage).values())
        for reason in funnel.losses(stage):
            assert funnel.lost(stage, reason) == sum(n for s, r, n, _ in happened if (s, r) == (stage, reason))


@given(st.tuples(events, events, events))
def test_parts_add_up_in_any_order(parts: tuple[list[tuple[str, str, int, str]], ...]) -> None:
    whole = _funnel([event for part in parts for event in part])
    for order in itertools.permutations(parts):
        merged = Funnel()
        for part in order:
            merged.merge(_funnel(part))
        assert merged == whole


@given(events)
def test_json_gives_the_funnel_back(happened: list[tuple[str, str, int, str]]) -> None:
    funnel = _funnel(happened)
    assert Funnel.from_json(json.loads(json.dumps(funnel.as_json()))) == funnel


def test_merging_changes_the_one_and_leaves_the_other() -> None:
    one, other = _funnel([("rows", "torn last line", 1, "f:9")]), _funnel([("rows", "", 2, "")])
    before = other.as_json()
    one.merge(other)
    one.lose("rows", "x")
    assert other.as_json() == before
    assert (one.entered("rows"), one.lost("rows")) == (3, 2)


@pytest.mark.parametrize(
    "data",
    [
        {"rows": {"entered": 3, "passed": 3, "lost": {"x": 1}, "details": {}}},
        {"rows": {"entered": 3}},
        {"rows": 3},
        [],
    ],
)
def test_what_is_no_funnel_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="no funnel"):
        Funnel.from_json(data)


def test_few_details_are_kept_whatever_their_order() -> None:
    places = [f"f.jsonl:{number}" for number in range(1, 40)]
    forth, back = (
        _funnel([("rows", "torn last line", 1, place) for place in order]) for order in (places, places[::-1])
    )
    assert forth == back
    assert forth.details("rows", "torn last line") == places[:5]
    assert forth.lost("rows", "torn last line") == 39


def test_the_rendering_is_in_the_order_of_the_stages_with_every_loss() -> None:
    funnel = _funnel([("else", "", 1, ""), ("instances", "", 7, ""), ("rows", "a | b", 1, ""), ("rows", "", 1999, "")])
    funnel.lose("rows", "more", 4, detail="[bold]x\x1b:1")
    assert funnel.markdown().splitlines() == [
        "| stage | | number | share |",
        "|---|---|---:|---:|",
        "| rows | in | 2,000 |  |",
        "|  | more | -4 | 0.2% |",
        "|  | a &#124; b | -1 | 0.1% |",
        "|  | out | 1,995 | 99.8% |",
        "| instances | in | 7 |  |",
        "|  | out | 7 | 100.0% |",
        "| else | in | 1 |  |",
        "|  | out | 1 | 100.0% |",
    ]
    shown = Console(file=io.StringIO(), width=80)
    shown.print(funnel.table())
    assert isinstance(shown.file, io.StringIO)
    printed = shown.file.getvalue()
    assert "[bold]x" in printed, "details are no markup"
    assert "\x1b" not in printed
    assert [word for word in ("rows", "instances", "else") if word in printed] == ["rows", "instances", "else"]
