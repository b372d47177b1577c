"""Cost, outcomes, and accuracy by group and by depth."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_runs import question_set, trial, trial_run

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics import (
    MEASURES,
    accuracy_by,
    accuracy_by_depth,
    costs,
    mean_at_n,
    outcomes,
    spread,
    tokens_per_second,
)
from inftythink_graph.evaluation.trials import Question, Run


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
@settings(deadline=None)
def test_quantiles_are_the_smallest_value_that_enough_do_not_exceed(values: list[int]) -> None:
    trials = [trial(f"q{n}", contexts=[[(1, value)]]) for n, value in enumerate(values)]
    found = spread(trials, MEASURES["tokens"])
    assert found is not None
    for share, quantile in ((0.5, found.median), (0.95, found.p95), (1.0, found.highest)):
        enough = [value for value in values if sum(other <= value for other in values) >= share * len(values)]
        assert quantile == min(enough)
    assert found.mean.value == pytest.approx(sum(values) / len(values))


def test_costs_are_those_of_the_requests() -> None:
    trials = [
        trial("a", contexts=[[(10, 20), (30, 5)], [(15, 7)]], seconds=4.0),
        trial("b", contexts=[[(10, 100)]], seconds=6.0),
    ]
    found = {name: each.mean.value for name, each in costs(trials).items() if each}
    assert found["tokens"] == (32 + 100) / 2
    assert found["epochs"] == 1.5
    assert found["requests"] == 2.0
    assert found["peak_context"] == (35 + 110) / 2
    assert found["sum_squared_tokens"] == (30**2 + 35**2 + 22**2 + 110**2) / 2
    assert tokens_per_second(trials) == 13.2


def test_tokens_that_a_model_does_not_report_are_unknown() -> None:
    trials = [trial(contexts=[[(0, 0)], [(0, 0)]])]
    found = costs(trials)
    assert {name for name, each in found.items() if each is None} == {
        "tokens", "peak_context", "sum_tokens", "sum_squared_tokens", "prompt_tokens", "cached_tokens",
    }  # fmt: skip
    assert found["epochs"] is not None
    assert found["epochs"].median == 2
    assert tokens_per_second(trials) is None
    assert set(costs([]).values()) == {None}


def test_outcomes_are_counted_over_trials() -> None:
    trials = [
        trial("a"),
        trial("b", malformed=3),
        trial("c", status="exhausted", forced=True, correct=False),
        trial("d", status="cut", answer=None, correct=False),
        trial("e", scoring="timed_out", correct=False),
        trial("f", status="stalled", answer=None, correct=False),
    ]
    found = {name: share.count for name, share in outcomes(trials).items()}
    assert found == {
        "answered": 3, "rejected": 0, "exhausted": 1, "stalled": 1, "cut": 1,
        "forced": 1, "no_answer": 2, "malformed": 1, "timed_out": 1,
    }  # fmt: skip
    assert outcomes(trials)["answered"].value == 0.5
    assert outcomes([])["answered"].value is None


def test_ways_to_end_add_up_to_all_trials() -> None:
    run = trial_run()
    shares = outcomes(run.trials)
    assert sum(shares[name].count for name in ("answered", "rejected", "exhausted", "stalled", "cut")) == len(
        run.trials
    )


def test_groups_come_in_natural_order_and_cover_what_has_the_key() -> None:
    questions = [
        Question("a", "?", "1", meta={"level": 10}),
        Question("b", "?", "1", meta={"level": 9}),
        Question("c", "?", "1", meta={"level": "hard"}),
        Question("d", "?", "1"),
    ]
    trials = [trial(name, sample, correct=name in "ac") for name in "abcd" for sample in range(2)]
    found = accuracy_by(trials, questions, "level")
    assert [(group.name, group.accuracy.value, group.trials) for group in found] == [
        ("9", 0.0, 2),
        ("10", 1.0, 2),
        ("hard", 1.0, 2),
    ]
    assert accuracy_by(trials, questions, "subject") == []


def test_depth_is_grouped_by_doubling_and_an_edge_belongs_below() -> None:
    depths = {"a": 1, "b": 256, "c": 257, "d": 512, "e": 513, "f": 64 * 256}
    questions = [Question(name, "?", "1", meta={"depth_tokens": depth}) for name, depth in depths.items()]
    questions.append(Question("g", "?", "1"))
    found = accuracy_by_depth([trial(name) for name in "abcdefg"], questions, window=256)
    assert [(group.low, group.high, group.accuracy.problems) for group in found] == [
        (0, 1, 2),
        (1, 2, 2),
        (2, 4, 1),
        (32, 64, 1),
    ]
    assert found[1].depth == pytest.approx((257 + 512) / 512)
    with pytest.raises(InvalidInputError, match="window"):
        accuracy_by_depth([], questions, window=0)


@cache
def deep_run() -> Run:
    return trial_run(questions=question_set(20), samples=2, traces=False)


@given(st.integers(1, 4000))
@settings(deadline=None)
def test_groups_by_depth_add_up_to_the_run(window: int) -> None:
    run = deep_run()
    groups = accuracy_by_depth(run.trials, run.questions, window)
    whole = sum((group.accuracy.value or 0) * group.accuracy.problems for group in groups) / 20
    assert whole == pytest.approx(mean_at_n(run.trials).value)
    assert all(group.low < group.depth <= group.high for group in groups)
