"""The comparison of two runs: against full enumeration, against one another, and at its edges."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_runs import question_set, trial, trial_run

from inftythink_graph.errors import InftyThinkError, InvalidInputError
from inftythink_graph.evaluation.metrics import compare_runs, compare_trials, mean_at_n
from inftythink_graph.evaluation.metrics.resampling import bootstrap_interval, mcnemar_exact, sign_flip_test
from inftythink_graph.evaluation.trials import Trial

DIFFERENCES = st.lists(st.fractions(-1, 1, max_denominator=6), min_size=1, max_size=9)


def enumerated(differences: list[Fraction]) -> float:
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(each >= abs(sum(differences)) for each in sums) / len(sums)


def single(rights: list[bool]) -> list[Trial]:
    return [trial(f"q{n}", correct=right) for n, right in enumerate(rights)]


@given(DIFFERENCES)
@settings(deadline=None, max_examples=40)
def test_the_permutation_test_is_full_enumeration(differences: list[Fraction]) -> None:
    assert sign_flip_test(differences) == (pytest.approx(enumerated(differences)), True)


@given(DIFFERENCES)
@settings(deadline=None, max_examples=20)
def test_drawing_signs_comes_close_and_is_seeded(differences: list[Fraction]) -> None:
    differences = [*differences, Fraction(1, 2)]
    drawn, exact = sign_flip_test(differences, resamples=20_000, seed=5, most_steps=0)
    assert not exact
    assert drawn == pytest.approx(enumerated(differences), abs=0.02)
    assert sign_flip_test(differences, resamples=20_000, seed=5, most_steps=0)[0] == drawn


def test_the_test_is_exact_for_hundreds_of_problems_with_sixteen_samples() -> None:
    differences = [Fraction(step % 17 - 7, 16) for step in range(500)]
    p_value, exact = sign_flip_test(differences)
    assert exact
    assert 0 < p_value < 1e-3
    assert sign_flip_test([Fraction(0)] * 9) == (1.0, True)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
@settings(deadline=None, max_examples=50)
def test_with_one_sample_mcnemar_and_the_permutation_test_are_the_same(pairs: list[tuple[bool, bool]]) -> None:
    found = compare_trials(single([left for left, _ in pairs]), single([right for _, right in pairs]), resamples=100)
    assert found.mcnemar is not None
    assert found.mcnemar.p_value == pytest.approx(found.p_value)
    assert found.mcnemar.left_only == sum(left and not right for left, right in pairs)
    assert found.mcnemar.right_only == sum(right and not left for left, right in pairs)


def test_mcnemar_by_hand() -> None:
    assert mcnemar_exact(0, 5) == pytest.approx(2 / 32)
    assert mcnemar_exact(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar_exact(4, 4) == mcnemar_exact(0, 0) == 1.0


def test_the_comparison_is_symmetric_and_its_parts_fit() -> None:
    questions = question_set(30)
    left = trial_run("a", questions=questions, samples=4, skill=0.7)
    right = trial_run("b", questions=questions, samples=3)
    found, turned = compare_runs(left, right), compare_runs(right, left)
    assert found.left == mean_at_n(left.trials)
    assert found.right.value == pytest.approx(mean_at_n(right.trials).value)
    assert found.difference.value == pytest.approx(found.right.value - found.left.value)  # type: ignore[operator]
    assert turned.difference.value == pytest.approx(-found.difference.value)  # type: ignore[operator]
    assert turned.p_value == pytest.approx(found.p_value)
    assert found.mcnemar is None
    assert found.left_out == 0
    assert found.interval is not None
    assert found.difference.value is not None
    low, high = found.interval
    assert low < found.difference.value < high
    assert compare_runs(left, right) == found


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Differences drawn around 0.1 again and again: about 95 in 100 intervals hold 0.1."""
    import numpy as np

    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        interval = bootstrap_interval(list(rng.normal(0.1, 0.4, size=60)), resamples=500)
        assert interval is not None
        held += interval[0] <= 0.1 <= interval[1]
    assert 176 <= held <= 199


def test_runs_on_other_problems_are_compared_only_on_request() -> None:
    left, right = single([True, False, True]), [trial(f"q{n}", correct=True) for n in (1, 2, 3, 4)]
    with pytest.raises(InvalidInputError, match="2 shared of 3 in the one and 4 in the other"):
        compare_trials(left, right)
    found = compare_trials(left, right, shared_only=True)
    assert (found.left.value, found.right.value, found.left.problems, found.left_out) == (0.5, 1.0, 2, 3)
    with pytest.raises(InvalidInputError, match="no problem in common"):
        compare_trials(left, [trial("else")], shared_only=True)


def test_runs_of_different_tasks_or_questions_are_refused() -> None:
    left = trial_run(questions=question_set(5, seed=1), samples=1)
    with pytest.raises(InvalidInputError, match="one task"):
        compare_runs(left, replace(left, task="other"))
    with pytest.raises(InvalidInputError, match=r"question 'q\d+' of long_horizon isn't the same"):
        compare_runs(left, trial_run(questions=question_set(5, seed=2), samples=1))


def test_options_may_be_shuffled_otherwise() -> None:
    left = trial_run(questions=question_set(5, kind="choice", seed=1), samples=1)
    shuffled = [replace(each, text=each.text + " (shuffled)", gold="D") for each in left.questions]
    assert compare_runs(left, replace(left, questions=shuffled)).p_value == 1.0


def test_one_problem_has_neither_error_nor_interval() -> None:
    found = compare_trials([trial("q")], [trial("q", correct=False)])
    assert (found.difference.value, found.difference.error, found.interval) == (-1.0, None, None)
    assert found.p_value == 1.0
    with pytest.raises(InvalidInputError, match="level"):
        bootstrap_interval([0.0, 1.0], level=95)


def test_without_numpy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(InftyThinkError, match="inftythink-graph\\[evaluation\\]"):
        compare_trials([trial("q")], [trial("q")])
