"""How far a carry could travel through the digits of a step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_build.carries import longest_carry_run
from datasets_build.synthetic import FAMILIES, generate


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("012 left: 01234 + 11 = 01245", 0),
        ("012 left: 01988 + 11 = 01999", 3),  # no carry, but one more would have travelled through three columns
        ("012 left: 99999 + 01 = 100000", 4),  # the last column makes the carry, it doesn't pass it on
        ("(2024, 0023): 2024 - 0023 = 2001", 2),
        ("(6439, 0047): 6439 - 0047 = 6392", 0),
        ("(5032, 0032): 5032 - 0032 = 5000", 3),
        ("012: 000033 is odd, tripled plus one is 000100", 2),
        ("012: 003663 is odd, tripled plus one is 010990", 4),
        ("012: 003664 is even, divided by two is 001832", 0),
        ("099: 000008 is even, divided by two is 000004", 2),
        ("200: 000008 is even, divided by two is 000004", 2),
        ("The pair is now (0049, 0049).", 0),
        ("", 0),
    ],
)
def test_known_steps(step: str, run: int) -> None:
    assert longest_carry_run(step) == run


@given(st.integers(0, 99_999), st.integers(0, 99))
def test_a_sum_s_run_bounds_how_far_one_more_changes_it(total: int, addend: int) -> None:
    """Adding one more to the sum changes at most the run's digits and the one it ends in."""
    run = longest_carry_run(f"{total:05} + {addend:02} = {total + addend:05}")
    one_more = f"{total + addend + 1:06}"
    changed = sum(a != b for a, b in zip(f"{total + addend:06}", one_more, strict=True))
    assert changed <= run + 1


@pytest.mark.parametrize("family", list(FAMILIES))
def test_long_runs_are_rare_in_every_family(family: str) -> None:
    runs = [longest_carry_run(step) for item in generate(family, 200, seed=3) for step in item.steps]
    shares = [sum(run >= length for run in runs) / len(runs) for length in range(4)]
    assert shares[1] > 2 * shares[2] > 0
    assert shares[2] > 1.5 * shares[3]
