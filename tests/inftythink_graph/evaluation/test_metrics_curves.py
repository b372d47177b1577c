"""Accuracy as a function of epochs, tokens and squared tokens."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_runs import trial, trial_run

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics import (
    Curve,
    accuracy_by_epochs,
    accuracy_by_squared_tokens,
    accuracy_by_tokens,
    mean_at_n,
)
from inftythink_graph.evaluation.trials import Trial

CURVES = (accuracy_by_epochs, accuracy_by_tokens, accuracy_by_squared_tokens)


@st.composite
def trial_lists(draw: st.DrawFn) -> list[Trial]:
    pair = st.tuples(st.integers(1, 30), st.integers(1, 30))
    epochs = st.lists(st.lists(pair, min_size=1, max_size=2), min_size=1, max_size=4)
    rows = draw(st.lists(st.lists(st.tuples(st.booleans(), epochs), min_size=1, max_size=4), min_size=1, max_size=4))
    return [
        trial(f"q{q}", s, correct=right, contexts=contexts)
        for q, row in enumerate(rows)
        for s, (right, contexts) in enumerate(row)
    ]


def spent(curve: Callable[[Sequence[Trial]], Curve], each: Trial) -> int:
    usage = each["usage"]
    return {
        accuracy_by_epochs: len(each["contexts"]),
        accuracy_by_tokens: usage["completion_tokens"],
        accuracy_by_squared_tokens: usage["sum_squared_tokens"],
    }[curve]


@given(trial_lists(), st.randoms())
@settings(deadline=None)
def test_a_curve_is_the_accuracy_of_a_run_in_which_what_came_later_is_wrong(
    trials: list[Trial], rng: random.Random
) -> None:
    for function in CURVES:
        curve = function(trials)
        budgets = {0, *(spent(function, each) + step for each in trials for step in (-1, 0))}
        for budget in budgets:
            within: list[Trial] = [{**t, "correct": t["correct"] and spent(function, t) <= budget} for t in trials]
            found, expected = curve.at(budget), mean_at_n(within)
            assert found.value == pytest.approx(expected.value)
            assert found.error == pytest.approx(expected.error)
        shuffled = list(trials)
        rng.shuffle(shuffled)
        assert function(shuffled) == curve


@pytest.mark.parametrize("curve", CURVES)
def test_curves_rise_and_end_at_the_accuracy_of_the_run(curve: Callable[[Sequence[Trial]], Curve]) -> None:
    run = trial_run(missing=7)
    found = curve(run.trials)
    assert all(later >= earlier for earlier, later in itertools.pairwise(found.accuracies))
    assert all(later > earlier for earlier, later in itertools.pairwise(found.budgets))
    assert found.accuracies[-1] == pytest.approx(mean_at_n(run.trials).value)
    assert found.errors[-1] == pytest.approx(mean_at_n(run.trials).error)
    assert found.budgets[-1] == max(spent(curve, each) for each in run.trials)


def test_a_forced_answer_counts_from_its_last_epoch_on() -> None:
    contexts = [[(10, 5)]] * 4
    curve = accuracy_by_epochs([trial(status="exhausted", forced=True, contexts=contexts)])
    assert [curve.at(epochs).value for epochs in (0, 3, 4, 99)] == [0.0, 0.0, 1.0, 1.0]


def test_both_requests_of_an_epoch_are_paid_for() -> None:
    one = [trial(contexts=[[(10, 20), (30, 5)], [(15, 7)]])]
    assert accuracy_by_tokens(one).budgets == (32,)
    assert accuracy_by_squared_tokens(one).budgets == (30**2 + 35**2 + 22**2,)


@given(trial_lists(), st.integers(1, 6))
@settings(deadline=None)
def test_thinning_never_overstates_and_keeps_the_end(trials: list[Trial], most: int) -> None:
    curve = accuracy_by_tokens(trials)
    thin = curve.thinned(most)
    assert len(thin.budgets) == min(most, len(curve.budgets))
    assert (thin.budgets[-1], thin.accuracies[-1]) == (curve.budgets[-1], curve.accuracies[-1])
    for budget in curve.budgets:
        assert (thin.at(budget).value or 0.0) <= (curve.at(budget).value or 0.0)
    assert all(thin.at(budget) == curve.at(budget) for budget in thin.budgets)


def test_no_trials_no_curve() -> None:
    curve = accuracy_by_tokens([])
    assert curve.at(100).value is None
    with pytest.raises(InvalidInputError, match="at least 1 step"):
        curve.thinned(0)
