"""The vote: groups, ties, and that "decided" is never wrong and never late."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph import answers, voting
from inftythink_graph.ballot import BALLOT_KEY, Ballot, ballot_in
from inftythink_graph.voting import Vote, equivalent, grouped, is_decided

ANSWERS = "ABC"


def same(left: str, right: str) -> bool:
    return left == right


def votes(text: str, epochs: int = 1) -> list[Vote]:
    """One vote per letter, by path; a dot abstains."""
    return [Vote(path, letter, epochs) for path, letter in enumerate(text, 1) if letter != "."]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("7", "7.0", True), ("1/2", "0.5", True), ("5 cm", "5", True), ("5", "5 cm", True), ("7", "8", False)],
)
def test_equivalence_is_that_of_answers_in_either_direction(left: str, right: str, expected: bool) -> None:
    assert equivalent(left, right) is expected
    assert equivalent(right, left) is expected


def test_equivalence_takes_algebra_where_there_is_some() -> None:
    pytest.importorskip("math_verify")
    assert equivalent("(x+1)^2", "x^2+2x+1")
    assert not equivalent("(x+1)^2", "x^2+1")


def test_without_algebra_other_spellings_are_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(left: str, right: str) -> answers.Comparison:
        raise answers.MissingExtraError("not installed")

    monkeypatch.setattr(voting, "compare", missing)
    assert not equivalent("(x+1)^2", "x^2+2x+1")


def test_most_votes_win_and_equivalent_answers_vote_together() -> None:
    groups = grouped([Vote(1, "3", 5), Vote(2, "0.5", 9), Vote(3, "1/2", 7)])
    assert [(group.best.answer, group.size) for group in groups] == [("1/2", 2), ("3", 1)]
    assert [vote.path for vote in groups[0].votes] == [3, 2]


def test_a_tie_goes_to_the_fewest_epochs_then_to_the_lowest_path() -> None:
    assert grouped([Vote(1, "A", 9), Vote(2, "B", 4)], same)[0].best.answer == "B"
    assert grouped([Vote(1, "A", 4), Vote(2, "B", 4)], same)[0].best.answer == "A"
    assert grouped([Vote(1, "A", 9), Vote(2, "A", 8), Vote(3, "B", 1)], same)[0].best.answer == "A"


def test_no_votes_no_groups() -> None:
    assert grouped([]) == []


@given(st.lists(st.tuples(st.sampled_from(ANSWERS), st.integers(1, 4)), max_size=8), st.randoms())
def test_the_order_of_votes_does_not_count(drawn: list[tuple[str, int]], rng: object) -> None:
    cast = [Vote(path, answer, epochs) for path, (answer, epochs) in enumerate(drawn, 1)]
    shuffled = list(cast)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert grouped(shuffled, same) == grouped(cast, same)


@given(st.lists(st.sampled_from(["1/2", "0.5", "50%", "2", "2.0", "7"]), max_size=7), st.randoms())
def test_the_order_does_not_count_where_equivalence_is_not_transitive(drawn: list[str], rng: object) -> None:
    cast = [Vote(path, answer, 1) for path, answer in enumerate(drawn, 1)]
    shuffled = list(cast)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert grouped(shuffled) == grouped(cast)
    assert sorted(v.path for g in grouped(cast) for v in g.votes) == [v.path for v in cast]


@given(st.permutations("AAABB.C"))
def test_a_clear_majority_wins_in_any_order_and_from_any_path(order: list[str]) -> None:
    assert grouped(votes("".join(order)), same)[0].best.answer == "A"


@pytest.mark.parametrize("paths", [1, 2, 3, 4, 5])
def test_decided_exactly_when_no_completion_changes_the_winner(paths: int) -> None:
    """Every way in which some paths have ended, and every way in which the rest can end, quicker or slower."""
    for ended in range(paths + 1):
        for begun in itertools.product(ANSWERS + ".", repeat=ended):
            now = votes("".join(begun), epochs=2)
            sizes = [group.size for group in grouped(now, same)]
            winners = set()
            for rest in itertools.product(ANSWERS + "D.", repeat=paths - ended):
                later = [Vote(ended + 1 + i, a, e) for e in (1, 3) for i, a in enumerate(rest) if a != "."]
                for epochs in (1, 3):
                    groups = grouped([*now, *(vote for vote in later if vote.epochs == epochs)], same)
                    winners.add(groups[0].best.answer if groups else None)
            assert is_decided(sizes, paths - ended) is (len(winners) == 1), (begun, winners)


@settings(deadline=None)
@given(st.lists(st.sampled_from("AABC."), min_size=1, max_size=9), st.randoms())
def test_the_ballot_decides_on_what_wins_in_the_end(drawn: list[str], rng: object) -> None:
    order = list(enumerate(drawn, 1))
    rng.shuffle(order)  # type: ignore[attr-defined]
    ballot, so_far, decided = Ballot(same), [], None
    for path, answer in order:
        vote = None if answer == "." else Vote(path, answer, path)
        ballot.end(vote, of=len(drawn))
        so_far += [vote] if vote else []
        if decided is None and ballot.decided:
            decided = grouped(so_far, same)[0].best.answer
    if decided is not None:
        assert grouped(so_far, same)[0].best.answer == decided


def test_votes_that_are_cast_at_once_decide_all_the_same() -> None:
    ballot, places, start = Ballot(same), [], threading.Barrier(8)

    def cast(path: int) -> None:
        start.wait()
        places.append(ballot.end(Vote(path, "A", 1), of=15))

    threads = [threading.Thread(target=cast, args=(path,)) for path in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ballot.decided
    assert sorted(places) == list(range(1, 9))


def test_each_pair_of_answers_is_compared_once() -> None:
    compared: list[tuple[str, str]] = []

    def equal(left: str, right: str) -> bool:
        compared.append((left, right))
        return False

    ballot = Ballot(equal)
    for path, answer in enumerate("ABCABC", 1):
        ballot.end(Vote(path, answer, 1), of=7)
    grouped(votes("CBACBA"), ballot.equal)
    assert len(compared) == len(set(compared)) == 3


def test_an_accepted_answer_decides_and_a_failure_reaches_the_others() -> None:
    ballot = Ballot(same)
    assert not ballot.over()
    assert ballot.end(Vote(2, "A", 1), of=9, accepted=True) == 1
    assert ballot.over()
    error = ConnectionError("gone")
    ballot.fail(error)
    ballot.fail(ValueError("later"))
    with pytest.raises(ConnectionError, match="gone"):
        ballot.over()


def test_a_ballot_is_found_only_where_one_is() -> None:
    ballot = Ballot()
    assert ballot_in({"configurable": {BALLOT_KEY: ballot}}) is ballot
    assert ballot_in({"configurable": {BALLOT_KEY: "no ballot"}}) is None
    assert ballot_in({}) is None
    assert ballot_in(None) is None
