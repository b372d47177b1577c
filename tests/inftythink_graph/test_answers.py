"""Answers compared by text and by algebra, and judged in a run."""

from __future__ import annotations

import asyncio
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph import _math_pool
from inftythink_graph._math_pool import shared_pool
from inftythink_graph._normalization import decide
from inftythink_graph._tidy import Undecided
from inftythink_graph.answers import (
    Comparison,
    MissingExtraError,
    answers_equal,
    choice_letter,
    compare,
    gold_verifier,
)
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.verdicts import Candidate, Verdict

EQUAL, DIFFERENT, TIMED_OUT = Comparison.EQUAL, Comparison.DIFFERENT, Comparison.TIMED_OUT
TOWER = "9^{9^{9^{9}}}+1"  # never comes back from one big-integer power

# --- comparison by text alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        (r"$\dfrac{1}{2}$.", r"\frac12", EQUAL),
        ("0.5", r"\frac{1}{2}", EQUAL),
        ("0.333", r"\frac{1}{3}", DIFFERENT),
        ("0.3333333", r"\frac{1}{3}", EQUAL),
        ("0.3333334", r"\frac{1}{3}", DIFFERENT),
        ("137.5", r"137 \frac{1}{2}", EQUAL),
        ("68.5", r"137 \frac{1}{2}", DIFFERENT),
        ("1 4/5", r"1\frac{4}{5}", EQUAL),
        ("10080", r"10,\!080", EQUAL),
        ("11,111,111,100", r"11,\! 111,\! 111,\! 100", EQUAL),
        ("6.72 \\times 10^{-5}", ".0000672", EQUAL),
        ("5 million", "5,000,000", EQUAL),
        ("-7", "\u22127", EQUAL),
        ("9" * 1000, "9" * 999 + "8", DIFFERENT),
        # units, money, percent, degrees
        ("864", r"864 \mbox{ inches}^2", EQUAL),
        ("864 square inches", r"864 \mbox{ inches}^2", EQUAL),
        ("864 inches", r"864 \mbox{ inches}^2", DIFFERENT),
        ("5.4 dollars", r"5.4 \text{ cents}", DIFFERENT),
        (r"\$0.054", r"5.4 \text{ cents}", EQUAL),
        ("2 km", r"2000 \text{ m}", EQUAL),
        ("12 apples", "12", EQUAL),
        ("12 pi", "12", None),
        ("12 abc", "12", None),
        ("2^{3}4", "2^{34}", None),
        ("2k", "2", None),
        ("$32,348", r"\$32,\!348", EQUAL),
        (r"$\$18.9$", r"\$18.90", EQUAL),
        ("0.5", r"50\%", EQUAL),
        ("50", r"50\%", EQUAL),
        ("5%", r"50\%", DIFFERENT),
        ("90", r"90^\circ", EQUAL),
        ("90 degrees", r"90^{\circ}", EQUAL),
        (r"\frac{270}{7}^\circ", r"\frac{270}7\text{ degrees}", EQUAL),
        # letters and words
        ("C", r"\text{(C)}", EQUAL),
        ("(c)", "C", EQUAL),
        ("(C) 12 apples", "C", EQUAL),
        ("B", r"\text{(C)}", DIFFERENT),
        ("3", r"\text{(C)}", DIFFERENT),
        ("C", "3", DIFFERENT),
        ("e", "2.718281828", None),  # a small letter may be a number
        ("Evelyn", r"\text{Evelyn}", EQUAL),
        (r"\textbf{the ellipse}", r"\text{ellipse}", EQUAL),
        ("Carla", r"\text{Evelyn}", DIFFERENT),
        ("abc", "bca", None),  # products of variables
        ("7", r"\text{even}", DIFFERENT),
        # brackets
        ("[3,4]", "(3,4]", DIFFERENT),
        ("(3, 4]", "(3,4]", EQUAL),
        (r"\left(3, 4\right]", "(3,4]", EQUAL),
        ("(4,2)", "(2,4)", DIFFERENT),
        (r"\{2,4\}", "(2,4)", DIFFERENT),
        ("2, 4", "(2,4)", EQUAL),
        ("(1,2,3)", "(1,2)", DIFFERENT),
        (r"\left( 1.5, -13 \right)", r"\left( \frac{3}{2}, -13 \right)", EQUAL),
        ("-2, 1", "1,-2", EQUAL),
        (r"\{2, 1\}", "1, 2", EQUAL),
        ("1,2,3", "1,2", DIFFERENT),
        # bases, assignments
        ("52", "52_8", EQUAL),
        ("52_{8}", "52_8", EQUAL),
        ("52_9", "52_8", DIFFERENT),
        ("53", "52_8", DIFFERENT),
        ("5", "x=5", EQUAL),
        ("x = 5.0", "x=5", EQUAL),
        ("[-2,7]", r"x \in [-2,7]", EQUAL),
        # matrices
        (r"\begin{bmatrix} -0.2 \\ 18/5 \end{bmatrix}", r"\begin{pmatrix} -1/5 \\ 18/5 \end{pmatrix}", EQUAL),
        (r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", DIFFERENT),
        ("", "5", DIFFERENT),
        ("5", "", DIFFERENT),
        ("x" * 5000, "x" * 4999, DIFFERENT),
        (TOWER, TOWER, EQUAL),
    ],
)
def test_text_alone(candidate: str, gold: str, expected: Comparison | None) -> None:
    decided = decide(candidate, gold)
    if expected is None:
        assert isinstance(decided, Undecided)
    else:
        assert decided is expected


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="(){}[]\\,.=$%^_/-0123abCx fractext", max_size=80),
    st.text(alphabet="(,){}\\x=15Ce ", max_size=80),
)
def test_the_fast_path_never_fails_and_agrees_with_itself(left: str, right: str) -> None:
    decide(left, right)
    assert decide(left, left) is (EQUAL if left.strip() else DIFFERENT)


@given(st.integers(), st.integers(min_value=1, max_value=10**6))
def test_numbers_equal_themselves_in_every_spelling(top: int, bottom: int) -> None:
    spellings = [f"{top}/{bottom}", f"\\frac{{{top}}}{{{bottom}}}", f"$\\dfrac{{{2 * top}}}{{{2 * bottom}}}$"]
    assert all(decide(spelling, spellings[0]) is EQUAL for spelling in spellings)
    assert decide(f"{top:,}", str(top)) is EQUAL
    assert decide(f"{top + 1}/{bottom}", spellings[0]) is DIFFERENT


def test_choice_letters() -> None:
    assert [choice_letter(text) for text in (r"\text{(C)}", "d", "(K)", "7", "CD")] == ["C", "D", None, None, None]


def test_a_timeout_that_is_no_time_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="above 0"):
        compare("1", "1", timeout=0)


# --- comparison by algebra -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        (r"\sqrt{117}", r"3\sqrt{13}", EQUAL),
        ("1.41421356", r"\sqrt{2}", EQUAL),
        ("1.41", r"\sqrt{2}", DIFFERENT),
        ("2^{10}", "1024", EQUAL),
        ("q - p", "p - q", DIFFERENT),
        ("ab+2a+5b+10", "(a+5)(b+2)", EQUAL),
        ("2x", "2", DIFFERENT),
        ("12 pi", "12", DIFFERENT),
        (r"1+\sqrt{19}, 1-\sqrt{19}", r"1 \pm \sqrt{19}", EQUAL),
        (r"\{-2, 1+\sqrt5, 1-\sqrt5\}", r"\{1\pm\sqrt{5},-2\}", EQUAL),
        (r"-2 \le x \le 7", r"x \in [-2,7]", EQUAL),
        ("x > 2", r"(2,\infty)", EQUAL),
        (r"x<2 \text{ or } x>3", r"(-\infty, 2) \cup (3, \infty)", EQUAL),
        ("(0,36)", r"(0,9) \cup (9,36)", DIFFERENT),
        (r"[\pi^2/8, 5\pi^2/4]", r"\left[ \frac{\pi^2}{8}, \frac{5 \pi^2}{4} \right]", EQUAL),
        (r"(3, \pi/2)", r"\left( 3, \frac{\pi}{2} \right)", EQUAL),
        ("y-2x=3", "y = 2x + 3", EQUAL),
        (r"\begin{bmatrix} -0.2 \\ \sqrt{4} \end{bmatrix}", r"\begin{pmatrix} -1/5 \\ 2 \end{pmatrix}", EQUAL),
        ("2^{3}4", "2^{34}", DIFFERENT),
        (r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & \sqrt{5} \end{pmatrix}", DIFFERENT),
    ],
)
def test_algebra(candidate: str, gold: str, expected: Comparison) -> None:
    assert isinstance(decide(candidate, gold), Undecided)
    assert compare(candidate, gold) is expected


@pytest.mark.parametrize(
    "gold",
    [
        r"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}",
        r"x^5 - x^4 + x^3 - x^2 + x - 1",
        r"\left(\frac{3}{5},\frac{8}{3}\right]",
        r"6 - 5i",
        r"8n^2 + 4n + 1",
        r"5x - 7y + 11z + 4 = 0",
    ],
)
def test_known_answers_equal_themselves_by_algebra_as_well(gold: str) -> None:
    undecided = decide(gold + " + 0w", gold)
    assert isinstance(undecided, Undecided)
    assert shared_pool().compare(undecided.gold, undecided.gold, 10) is EQUAL


# --- without math-verify ---------------------------------------------------------------------------------------------


@pytest.fixture
def no_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    real = _math_pool.importlib.util.find_spec
    monkeypatch.setattr(
        _math_pool.importlib.util, "find_spec", lambda name: None if name == "math_verify" else real(name)
    )


@pytest.mark.usefixtures("no_math_verify")
def test_without_the_extra_text_still_compares_and_algebra_names_the_extra() -> None:
    assert answers_equal("1/2", "0.5")
    assert not answers_equal("B", r"\text{(C)}")
    with pytest.raises(MissingExtraError, match=r"inftythink-graph\[evaluation\]"):
        compare(r"\sqrt{4}", "2")


@pytest.mark.usefixtures("no_math_verify")
def test_a_verifier_names_the_missing_extra_before_the_run() -> None:
    gold_verifier("42")
    gold_verifier("C")
    with pytest.raises(MissingExtraError, match="evaluation"):
        gold_verifier(r"3\sqrt{13}")


# --- verifying -------------------------------------------------------------------------------------------------------


def _candidate(answer: str | None) -> Candidate:
    return Candidate(question="q", answer=answer, conclusion=f"It is {answer}.", epoch=3)


def test_a_gold_verifier_accepts_and_rejects_without_telling() -> None:
    verifier = gold_verifier(r"3\sqrt{13}")
    assert verifier(_candidate(r"\sqrt{117}")) == Verdict(True)
    rejected = verifier(_candidate("12345"))
    assert not rejected.accepted
    assert "12345" in rejected.reason
    assert "13}" not in rejected.reason
    assert verifier(_candidate(None)) == Verdict(False, "The conclusion states no answer.")


async def test_a_gold_verifier_works_off_the_main_thread() -> None:
    verifier = gold_verifier("(a+5)(b+2)")
    verdicts = await asyncio.gather(
        *(asyncio.to_thread(verifier, _candidate(answer)) for answer in ("ab+2a+5b+10", "ab", "10+ab+5b+2a"))
    )
    assert [verdict.accepted for verdict in verdicts] == [True, False, True]


@pytest.mark.parametrize(("gold", "timeout"), [("", 5.0), ("  ", 5.0), ("5", 0.0)])
def test_a_gold_verifier_refuses_what_can_not_work(gold: str, timeout: float) -> None:
    with pytest.raises(InvalidInputError):
        gold_verifier(gold, timeout=timeout)
