"""How far a carry could travel through the digits of a step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_build.carries import counter_run, digits_alike, longest_carry_run, most_digits, repeated_digits
from datasets_build.synthetic import FAMILIES, generate


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("013 - 1 (borrow 00) = 012 left: 01234 + 11 (carry 0000) = 01245", 0),
        (
            "013 - 1 (borrow 00) = 012 left: 01988 + 11 (carry 0000) = 01999",
            3,
        ),  # no carry, but one more would have travelled through three columns
        # The last column makes the carry, it doesn't pass it on.
        ("013 - 1 (borrow 00) = 012 left: 99999 + 01 (carry 0000) = 100000", 4),
        ("(2024, 0023): 2024 - 0023 (borrow 000) = 2001", 2),
        ("(6439, 0047): 6439 - 0047 (borrow 000) = 6392", 0),
        ("(5032, 0032): 5032 - 0032 (borrow 000) = 5000", 3),
        ("011 + 1 (carry 00) = 012: 000033 is odd, tripled plus one (carry 00000) is 000100", 2),
        ("011 + 1 (carry 00) = 012: 003663 is odd, tripled plus one (carry 00000) is 010990", 4),
        ("011 + 1 (carry 00) = 012: 003664 is even, divided by two is 001832", 0),
        ("099 + 1 (carry 11) = 100: 000008 is even, divided by two is 000004", 2),
        ("200 + 1 (carry 00) = 201: 000008 is even, divided by two is 000004", 2),
        ("200 - 1 (borrow 11) = 199 left: 01234 + 11 (carry 0000) = 01245", 0),  # that of the sum
        ("200 - 1 (borrow 11) = 199 left: 01988 + 11 (carry 0000) = 01999", 3),
        ("The pair is now (0049, 0049).", 0),
        ("", 0),
    ],
)
def test_known_steps(step: str, run: int) -> None:
    assert longest_carry_run(step) == run


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("099 + 1 (carry 11) = 100: 000008 is even, divided by two is 000004", 2),
        ("100 + 1 (carry 00) = 101: 000004 is even, divided by two is 000002", 2),
        ("149 + 1 (carry 10) = 150: 000008 is even, divided by two is 000004", 1),
        ("101 + 1 (carry 00) = 102: 000099 is odd, tripled plus one (carry 00000) is 000298", 0),
        ("000 + 1 (carry 00) = 001: 000004 is even, divided by two is 000002", 0),  # nothing has changed yet
        ("200 - 1 (borrow 11) = 199 left: 00099 + 99 (carry 1100) = 00198", 2),
        ("(2000, 0023): 2000 - 0023 (borrow 110) = 1977", 0),
    ],
)
def test_counters_that_change_several_digits(step: str, run: int) -> None:
    assert counter_run(step) == run


@pytest.mark.parametrize(
    ("step", "alike"),
    [
        ("(0714, 0007): 0714 - 0007 (borrow 100) = 0707", 3),
        ("(0700, 0007): 0700 - 0007 (borrow 110) = 0693", 1),
        ("(0014, 0007): 0014 - 0007 (borrow 100) = 0007", 0),  # the end itself
        ("013 - 1 (borrow 00) = 012 left: 01234 + 11 (carry 0000) = 01245", 0),
        ("099 + 1 (carry 11) = 100: 000008 is even, divided by two is 000004", 0),
    ],
)
def test_differences_that_look_like_the_end(step: str, alike: int) -> None:
    assert digits_alike(step) == alike


@pytest.mark.parametrize(
    ("step", "digits"),
    [
        ("070 + 1 (carry 00) = 071: 011412 is even, divided by two is 005706", 5),
        ("070 + 1 (carry 00) = 071: 000004 is even, divided by two is 000002", 2),
        ("(2024, 0023): 2024 - 0023 (borrow 000) = 2001", 4),
        ("Both numbers are equal", 0),
        ("", 0),
    ],
)
def test_the_size_of_numbers_without_leading_zeros(step: str, digits: int) -> None:
    assert most_digits(step) == digits


@pytest.mark.parametrize(
    ("step", "digits"),
    [
        ("(2345, 0067): 2345 - 0067 (borrow 000) = 2278", 1),
        ("064 - 1 (borrow 00) = 063 left: 06264 + 72 (carry 0111) = 06336", 2),
        ("013 - 1 (borrow 00) = 012 left: 10080 + 21 (carry 0000) = 10101", 3),
        ("001 + 1 (carry 00) = 002: 000008 is even, divided by two is 000004", 0),  # one zero in front
        ("003 - 1 (borrow 00) = 002 left: 00012 + 12 (carry 1111) = 00024", 0),  # carries are none of its numbers
        ("no number", 0),
    ],
)
def test_digits_of_a_number_that_come_again(step: str, digits: int) -> None:
    assert repeated_digits(step) == digits


@given(st.integers(0, 99_999), st.integers(0, 99))
def test_a_sum_s_run_bounds_how_far_one_more_changes_it(total: int, addend: int) -> None:
    """Adding one more to the sum changes at most the run's digits and the one it ends in."""
    run = longest_carry_run(f"{total:05} + {addend:02} (carry 0000) = {total + addend:05}")
    one_more = f"{total + addend + 1:06}"
    changed = sum(a != b for a, b in zip(f"{total + addend:06}", one_more, strict=True))
    assert changed <= run + 1


@pytest.mark.parametrize("family", list(FAMILIES))
def test_long_runs_are_rare_in_every_family(family: str) -> None:
    runs = [longest_carry_run(step) for item in generate(family, 200, seed=3) for step in item.steps]
    shares = [sum(run >= length for run in runs) / len(runs) for length in range(4)]
    assert shares[1] > 2 * shares[2] > 0
    assert shares[2] > 1.5 * shares[3]
