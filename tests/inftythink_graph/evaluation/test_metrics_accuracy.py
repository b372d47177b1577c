"""mean@n, maj@n and pass@k: against brute force, and at their edges."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_runs import trial

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics import coverage, maj_at_n, mean_at_n, pass_at_k, pass_at_powers
from inftythink_graph.evaluation.metrics.accuracy import majority_score, unbiased_pass_at_k
from inftythink_graph.evaluation.trials import Trial

GRIDS = st.lists(st.lists(st.booleans(), min_size=1, max_size=7), min_size=1, max_size=6)


def grid(rows: list[list[bool]]) -> list[Trial]:
    """A problem for each row, a sample for each entry."""
    return [trial(f"q{q}", s, correct=right) for q, row in enumerate(rows) for s, right in enumerate(row)]


def votes(text: str, right: str = "A") -> list[Trial]:
    """One sample for each letter; a dot has no answer."""
    return [
        trial("q", index, answer=None if letter == "." else letter, correct=letter == right)
        for index, letter in enumerate(text)
    ]


def same(left: str, right: str) -> bool:
    return left == right


@given(GRIDS, st.randoms())
@settings(deadline=None)
def test_mean_is_over_problems_and_so_is_its_error(rows: list[list[bool]], rng: random.Random) -> None:
    trials = grid(rows)
    rng.shuffle(trials)
    found = mean_at_n(trials)
    means = [sum(row) / len(row) for row in rows]
    assert found.problems == len(rows)
    assert found.value == pytest.approx(sum(means) / len(means))
    if len(rows) == 1:
        assert found.error is None
    else:
        assert found.error == pytest.approx(statistics.stdev(means) / math.sqrt(len(means)))


def test_problems_count_alike_in_a_run_that_was_cut_short() -> None:
    trials = grid([[True, True, True, True], [False]])
    assert mean_at_n(trials).value == 0.5
    counted = coverage(trials, questions=3, samples=4)
    assert (counted.problems, counted.questions, counted.trials, counted.missing) == (2, 3, 5, 7)
    assert coverage(trials).missing == 3


def test_nothing_at_all_is_no_number() -> None:
    for found in (mean_at_n([]), maj_at_n([]), pass_at_k([], 1)):
        assert (found.value, found.error, found.problems) == (None, None, 0)
    assert pass_at_powers([]) == {}
    assert coverage([], questions=4, samples=2).missing == 8


def test_the_same_sample_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="sample 0 of question 'q' comes twice"):
        mean_at_n([trial("q"), trial("q")])


@pytest.mark.parametrize("samples", range(1, 9))
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_one(samples: int) -> None:
    for correct, k in itertools.product(range(samples + 1), range(1, samples + 1)):
        subsets = list(itertools.combinations([index < correct for index in range(samples)], k))
        assert unbiased_pass_at_k(samples, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@given(GRIDS)
@settings(deadline=None)
def test_pass_at_1_is_the_mean_and_pass_at_k_never_falls(rows: list[list[bool]]) -> None:
    size = min(map(len, rows))
    trials = grid([row[:size] for row in rows])
    assert pass_at_k(trials, 1).value == pytest.approx(mean_at_n(trials).value)
    values = [pass_at_k(trials, k).value or 0.0 for k in range(1, size + 1)]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(values))
    assert values[-1] == pytest.approx(sum(any(row[:size]) for row in rows) / len(rows))


def test_pass_at_powers_goes_up_to_the_most_samples_and_says_over_how_many_problems() -> None:
    found = pass_at_powers(grid([[False] * 5 + [True], [False, True], [False]]))
    assert {k: each.problems for k, each in found.items()} == {1: 3, 2: 2, 4: 1}
    assert found[4].value == pytest.approx(4 / 6)


@pytest.mark.parametrize(("samples", "correct", "k"), [(4, 2, 5), (4, 2, 0), (4, 5, 1)])
def test_pass_at_k_refuses_what_cannot_be_drawn(samples: int, correct: int, k: int) -> None:
    with pytest.raises(InvalidInputError, match="pass@"):
        unbiased_pass_at_k(samples, correct, k)


def test_equivalent_answers_vote_together_and_no_answer_is_no_vote() -> None:
    wrong = [trial("q", n, answer=a, correct=False) for n, a in enumerate(["1/2", "0.5", "50%"])]
    right = [trial("q", n, answer="3") for n in (3, 4)]
    assert majority_score([*wrong, *right]) == 0.0
    assert majority_score([*wrong[:1], *right]) == 1.0
    assert majority_score(votes("....A"), same) == 1.0
    assert majority_score(votes("...."), same) == 0.0


def test_correct_answers_vote_together_however_they_are_spelt() -> None:
    """50% equals both 50 and 0.5, which differ from one another: scored against 50%, all three are the same answer."""
    spelt = [trial("q", n, answer=a) for n, a in enumerate(["50", "0.5"])]
    assert majority_score([*spelt, trial("q", 2, answer="7", correct=False)]) == 1.0


@given(st.text("ABC.", min_size=1, max_size=6))
@settings(deadline=None)
def test_a_tie_is_worth_what_the_first_sampled_is_worth_on_average(cast: str) -> None:
    """The rule of other evaluation codes, over every order in which the samples might have come."""
    first = [0.0] if not cast.strip(".") else []
    for order in itertools.permutations(cast.replace(".", "")) if not first else ():
        most = max(order.count(letter) for letter in order)
        first.append(next(letter for letter in order if order.count(letter) == most) == "A")
    assert majority_score(votes(cast), same) == pytest.approx(statistics.fmean(first))


def test_choices_vote_by_letter() -> None:
    answers = ["A", "A", "(b)", "B", r"\text{(B)}"]
    trials = [trial("q", n, answer=a, correct=a == "A") for n, a in enumerate(answers)]
    assert maj_at_n(trials, {"q": "choice"}).value == 0.0
    assert maj_at_n(trials[:4], {"q": "choice"}).value == 0.5


def test_a_letter_with_its_option_s_text_votes_as_it_is_scored() -> None:
    answers = ["A", "A", "(b)", "B", "(B) red"]
    trials = [trial("q", n, answer=a, correct=a == "A") for n, a in enumerate(answers)]
    assert maj_at_n(trials, {"q": "choice"}).value == 0.0


def test_only_wrong_answers_are_compared() -> None:
    asked: list[set[str]] = []

    def equal(left: str, right: str) -> bool:
        asked.append({left, right})
        return False

    assert majority_score(votes("AABCB"), equal) == 0.5
    assert asked == [{"B", "C"}]
