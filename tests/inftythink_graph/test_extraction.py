"""Final answers found in a conclusion."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph.answers import (
    Comparison,
    extract_answer,
)

EQUAL, DIFFERENT, TIMED_OUT = Comparison.EQUAL, Comparison.DIFFERENT, Comparison.TIMED_OUT
TOWER = "9^{9^{9^{9}}}+1"  # never comes back from one big-integer power


@pytest.mark.parametrize(
    ("conclusion", "answer"),
    [
        (r"So it is \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"First \boxed{1}, then \boxed{2}.", "2"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\left\{1, 2\right\}}", r"\left\{1, 2\right\}"),
        (r"\boxed{3} and then \boxed{4", "3"),  # cut inside the last box
        (r"it is \boxed{\frac{1}{2}", r"\frac{1}{2}"),
        (r"$\boxed{12$.", "12"),
        (r"\boxed{} but the answer is 3", "3"),
        (r"$\boxed 5$", "5"),
        (r"\boxed12.", "12"),
        (r"\boxed\frac{1}{2}", r"\frac{1}{2}"),
        (r"\fbox{7}", "7"),
        (r"\\boxed{12}", "12"),
        (r"\boxed{\text{(C)}}", r"\text{(C)}"),
        ("The answer is (C).", "C"),
        ("Answer: C", "C"),
        ("The correct option is **D**.", "D"),
        ("**Answer:** B) blue", "B"),
        ("Final answer: (A) 12 apples", "A"),
        ("(B) is correct, since (A) fails.", "B"),
        ("Option J is the right one. Option C is correct", "C"),
        ("Therefore\n\n**C**", "C"),
        ("the answer is 42.", "42"),
        ("The answer is 3.5. I am sure.", "3.5"),
        ("The answer to the question is $7$, because 7 is prime.", "7"),
        ("**Answer:**\n\n42", "42"),
        ("The answer is:\n\n\\[5\\]", "5"),
        ("5 + 5 is 10\n#### 1,234", "1,234"),
        ("#### Conclusion\nIt is 5.", "It is 5"),
        ("So\n\n$$\n42\n$$\n", "42"),
        ("work\n- -7", "-7"),
        ("The answer is A good thing.", "A good thing"),
        ("So the answer is A, B and D", "A, B and D"),
        ("The answer is (2, 3)", "(2, 3)"),
        ("E = mc^2", "E = mc^2"),
        ("...", "..."),
    ],
)
def test_extracts_the_final_answer(conclusion: str, answer: str) -> None:
    assert extract_answer(conclusion) == answer


@pytest.mark.parametrize("empty", ["", "  \n\t "])
def test_only_empty_text_has_no_answer(empty: str) -> None:
    assert extract_answer(empty) is None


_MARKS = ["\\boxed{", "\\fbox", "{", "}", "\\", "$", "$$", "\n", " ", "**", "####", "."]
_PIECES = st.sampled_from([*_MARKS, "answer is ", "Answer:", "(C)", "C", "7"])


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join)))
def test_extraction_never_fails_and_invents_nothing(text: str) -> None:
    answer = extract_answer(text)
    assert (answer is None) == (not text.strip())
    if answer is not None:
        assert answer == answer.strip() != ""
        assert answer in text


@given(st.text(alphabet="0123456789abc+-{}\\frac ^", max_size=40), st.text(max_size=40))
def test_a_closed_box_at_the_end_always_wins(content: str, before: str) -> None:
    content = content.replace("{", "").replace("}", "").replace("\\", "").strip()
    if content:
        assert extract_answer(before + " \n\\boxed{" + content + "}") == content


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 10**6,
        "\\boxed{" * 150_000,
        "\\boxed{ " * 100_000 + "} " * 100_000,
        "$" * 10**6,
        "answer is" + " " * 10**6 + ".",
        "`" * 10**6 + "a" + "`" * 10**6,
        "a" + ". " * 500_000,
        "$$\n" * 200_000,
    ],
    ids=["backslashes", "open", "nested", "dollars", "spaces", "ticks", "periods", "lines"],
)
def test_extraction_is_linear_on_megabytes(text: str) -> None:
    started = time.process_time()
    assert extract_answer(text)
    assert time.process_time() - started < 20  # a quadratic scan takes many minutes
