"""Long-horizon problems: right answers, states from which the rest follows, disjoint splits."""

from __future__ import annotations

import json
import math
import re

import pytest
from example_rows import one
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.synthetic import FAMILIES, Problem, Split, generate, main, problem, split_of
from inftythink_graph.answers import extract_answer

ALL_FAMILIES = pytest.mark.parametrize("family", list(FAMILIES))


def _independent_answer(item: Problem) -> int:
    """The answer by another way than the family's own solver."""
    if item.family == "gcd":
        return math.gcd(*item.params)
    if item.family == "product":
        return math.prod(item.params)
    (n,), count = item.params, 0
    while n > 1:
        n, count = (3 * n + 1, count + 1) if n & 1 else (n >> 1, count + 1)
    return count


@ALL_FAMILIES
def test_answers_are_right_and_boxed(family: str) -> None:
    for item in generate(family, 60, seed=1):
        assert item.answer == str(_independent_answer(item))
        assert extract_answer(item.conclusion) == item.answer
        assert all(str(number) in item.question for number in item.params)


@ALL_FAMILIES
def test_every_step_has_a_state_and_depths_are_exact(family: str) -> None:
    for item in generate(family, 60, seed=2):
        assert len(item.steps) == len(item.states) == FAMILIES[family].depth_of(item.params) >= 1
        lines = [item.setup, *item.steps, item.closing]
        assert item.chain.split("\n") == lines == [line for line, _ in item.lines]
        assert [state for _, state in item.lines] == [item.start, *item.states, item.states[-1]]


@ALL_FAMILIES
def test_a_chain_begins_with_the_numbers_of_the_question_in_their_fixed_width(family: str) -> None:
    widths = {"collatz": (6,), "gcd": (4, 4), "product": (2, 3)}[family]
    for item in generate(family, 60, seed=8):
        written = (f"{n} is {n:0{width}}" for n, width in zip(item.params, widths, strict=True))
        assert item.setup == ", ".join(written)


@ALL_FAMILIES
def test_a_chain_ends_with_its_result_in_fixed_width_and_without(family: str) -> None:
    width = {"collatz": 3, "gcd": 4, "product": 5}[family]
    for item in generate(family, 60, seed=9):
        assert item.closing == f"{int(item.answer):0{width}} is {item.answer}"


def test_a_state_is_all_that_the_next_step_needs() -> None:
    """What makes a summary enough: the numbers of a state are those that the following step starts from."""
    for item in generate("collatz", 20, seed=3, min_steps=5):
        for state, following in zip((item.start, *item.states), item.steps, strict=False):
            done, value = map(int, re.findall(r"\d+", state))
            assert following.startswith(f"{done:03} + 1 (")
            assert f" = {done + 1:03}: {value:06} is " in following
    for item in generate("gcd", 20, seed=3, min_steps=5):
        for state, following in zip((item.start, *item.states), item.steps, strict=False):
            a, b = map(int, re.findall(r"\d+", state))
            assert following.startswith(f"({a:04}, {b:04}): {a:04} - {b:04} (")
            assert following.endswith(f") = {a - b:04}")
    for item in generate("product", 20, seed=3, min_steps=5):
        for state, following in zip((item.start, *item.states), item.steps, strict=False):
            total, left, addend = map(int, re.findall(r"\d+", state))
            assert following.startswith(f"{left:03} - 1 (")
            assert f" = {left - 1:03} left: {total:05} + {addend:02} (" in following
            assert following.endswith(f") = {total + addend:05}")


@ALL_FAMILIES
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), low=st.integers(1, 60), width=st.integers(20, 200))
def test_bounds_on_the_depth_hold(family: str, seed: int, low: int, width: int) -> None:
    for item in generate(family, 3, seed=seed, min_steps=low, max_steps=low + width):
        assert low <= len(item.steps) <= low + width


@ALL_FAMILIES
def test_the_same_seed_gives_the_same_problems(family: str) -> None:
    first = list(generate(family, 25, seed=7))
    assert first == list(generate(family, 25, seed=7))
    assert first[:10] == list(generate(family, 10, seed=7)), "a longer run begins with a shorter one"
    assert first != list(generate(family, 25, seed=8))


@ALL_FAMILIES
def test_splits_never_share_numbers(family: str) -> None:
    drawn: dict[Split, set[tuple[int, ...]]] = {"train": set(), "test": set()}
    for split in drawn:
        for seed in (0, 1):
            for item in generate(family, 120, seed=seed, split=split):
                assert split_of(family, item.params) == split
                drawn[split].add(tuple(sorted(item.params)))
    assert not drawn["train"] & drawn["test"]


@given(st.sampled_from(list(FAMILIES)), st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_order_of_the_numbers_does_not_change_the_split(family: str, a: int, b: int) -> None:
    assert split_of(family, (a, b)) == split_of(family, (b, a))


def test_about_a_tenth_is_held_out() -> None:
    held_out = sum(split_of("gcd", (a, b)) == "test" for a in range(1, 60) for b in range(a, 60))
    assert 0.07 < held_out / (59 * 60 / 2) < 0.13


@ALL_FAMILIES
def test_numbers_are_drawn_once_unless_repeats_are_allowed(family: str) -> None:
    drawn = [item.params for item in generate(family, 150, seed=4)]
    assert len(set(drawn)) == 150
    short = [item.params for item in generate("product", 3000, seed=4, max_steps=2, unique=False)]
    assert len(set(short)) < 3000


def test_a_condition_of_the_caller_holds() -> None:
    for item in generate("gcd", 20, seed=5, accept=lambda candidate: candidate.answer == "1"):
        assert item.answer == "1"


def test_known_problems() -> None:
    item = problem("collatz", (27,))
    assert (item.answer, len(item.steps)) == ("111", 111)
    assert item.steps[0] == "000 + 1 (carry 00) = 001: 000027 is odd, tripled plus one (carry 20000) is 000082"
    assert (item.setup, item.start) == ("27 is 000027", "After 000 steps the number is 000027.")
    assert item.states[1] == "After 002 steps the number is 000041."
    assert item.closing == "111 is 111"
    assert problem("gcd", (12, 1018)).setup == "12 is 0012, 1018 is 1018"
    assert problem("gcd", (12, 18)).steps == (
        "(0018, 0012): 0018 - 0012 (borrow 000) = 0006",
        "(0012, 0006): 0012 - 0006 (borrow 100) = 0006",
    )
    assert problem("product", (5, 3)).conclusion == "Nothing is left to add, the sum is 15: \\boxed{15}"
    phrasings = {problem("gcd", (12, 18), phrasing=i).question for i in range(8)}
    assert len(phrasings) == len(FAMILIES["gcd"].phrasings)


CALCULATED = re.compile(
    r"(?P<first>\d+) (?:is odd, tripled plus one|(?P<sign>[+-]) (?P<second>\d+))"
    r" \((?:carry|borrow) (?P<handed>\d+)\) (?:is|=) (?P<result>\d+)"
)


@ALL_FAMILIES
def test_the_carries_of_a_step_lead_from_its_digits_to_the_result(family: str) -> None:
    """In each column, from the ones: its digits and what the column before handed on give a digit and a carry."""
    checked = 0
    for item in generate(family, 60, seed=6):
        for match in (match for step in item.steps for match in CALCULATED.finditer(step)):
            first, second, result = (
                [int(digit) for digit in reversed((match[name] or "1").zfill(len(match["first"])))]
                for name in ("first", "second", "result")
            )
            times, sign = (1, int(f"{match['sign']}1")) if match["sign"] else (3, 1)
            handed = [0, *map(int, match["handed"]), 0]
            for column in range(len(first)):
                outcome = times * first[column] + sign * (second[column] + handed[column])
                assert outcome == result[column] + sign * 10 * handed[column + 1], item.steps
            checked += 1
    assert checked > 500


@pytest.mark.parametrize(
    ("family", "params"), [("collatz", (1,)), ("gcd", (7, 7)), ("gcd", (0, 3)), ("product", (5, 0))]
)
def test_numbers_without_a_chain_are_refused(family: str, params: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="has no chain"):
        problem(family, params)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"family": "primes"}, "allowed: collatz, gcd, product"),
        ({"split": "dev"}, "allowed: train, test"),
        ({"min_steps": 0}, "1 <= min_steps <= max_steps"),
        ({"min_steps": 9, "max_steps": 8}, "1 <= min_steps <= max_steps"),
        ({"family": "collatz", "min_steps": 5000, "max_steps": 5001}, "ran out after 0 of 1"),
    ],
)
def test_wrong_arguments_name_what_is_allowed(options: dict[str, object], match: str) -> None:
    arguments = {"family": "gcd", "count": 1, "seed": 0, **options}
    with pytest.raises(ValueError, match=match):
        list(generate(**arguments))


def test_the_command_prints_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--family", "product", "--count", "3", "--min-steps", "4", "--max-steps", "9"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["answer"] for line in lines] == [str(math.prod(line["params"])) for line in lines]
    assert len(lines) == 3


def test_the_command_prints_chains_that_a_build_takes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--family", "gcd", "--count", "3", "--layout", "openr1"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    problems = list(generate("gcd", 3, seed=0, split="test"))
    assert len({row["uuid"] for row in rows}) == 3
    for row, item in zip(rows, problems, strict=True):
        example = one(row)
        assert (example.question, example.chain, example.conclusion) == (item.question, item.chain, item.conclusion)
        assert (example.uuid, example.answer) == (row["uuid"], item.answer)
