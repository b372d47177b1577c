"""Multiple choice: the order of options, the letter that is right, and how answers to it are scored."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph.answers import extract_answer
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.choices import LETTERS, gold_index, shuffled
from inftythink_graph.evaluation.scoring import ascore, chosen_letter, score
from inftythink_graph.evaluation.trials import Question

OPTIONS = ("12 apples", r"\sqrt{2}", "5 m", "5 s")

_texts = st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=2, max_size=10, unique=True)


@settings(deadline=None)
@given(_texts, st.data(), st.integers(), st.text())
def test_the_right_option_keeps_its_letter_whatever_the_order(
    options: list[str], data: st.DataObject, seed: int, question_id: str
) -> None:
    right = data.draw(st.integers(0, len(options) - 1))
    choices = shuffled(options, right, seed=seed, question_id=question_id)
    assert sorted(choices.options) == sorted(options)
    assert choices.options[LETTERS.index(choices.gold)] == options[right]
    assert choices == shuffled(options, right, seed=seed, question_id=question_id)
    shown = choices.render("Which?")
    assert shown.startswith("Which?\n\nA) ")
    assert f"\n{choices.gold}) {options[right]}" in shown


def test_the_order_depends_on_the_seed_and_on_the_question() -> None:
    def gold(seed: int, question: str) -> str:
        return shuffled(OPTIONS, 0, seed=seed, question_id=question).gold

    assert len({gold(0, f"q{i}") for i in range(40)}) == 4
    assert len({gold(i, "q") for i in range(40)}) == 4
    letters = Counter(gold(7, f"q{i}") for i in range(4000))
    assert all(900 < letters[letter] < 1100 for letter in "ABCD"), "no letter is favoured"
    before = random.getstate()
    gold(1, "q")
    assert random.getstate() == before, "the process's own generator is left alone"


@pytest.mark.parametrize(
    ("options", "message"), [(["one"], "2 to 10"), (["x"] * 11, "2 to 10"), (["a", " "], "option 2")]
)
def test_options_that_can_not_be_shown_are_refused(options: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        shuffled(options, 0, seed=0, question_id="q")


def test_the_answer_of_a_row_is_a_letter_or_a_text() -> None:
    assert gold_index(OPTIONS, "C") == 2
    assert gold_index(OPTIONS, " 5 s ") == 3
    assert gold_index(("A", "B"), "B") == 1
    for options, answer, message in (
        (OPTIONS, "E", "names no option"),
        (OPTIONS, "5", "names no option"),
        (("B", "A"), "A", "several"),
        (("x", "x"), "x", "several"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            gold_index(options, answer)


# --- scoring ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(b)", "B"),
        (r"\text{(B)}", "B"),
        (r"\textbf{B}", "B"),
        ("B.", "B"),
        (r"B) \sqrt{2}", "B"),
        ("(B) the second", "B"),
        ("B: the second", "B"),
        ("Option B", "B"),
        ("Answer: B", "B"),
        (r"\text{Option B}", "B"),
        (r"\sqrt{2}", "B"),
        (r"$\sqrt2$", "B"),
        ("twelve apples", None),
        ("12 apples", "A"),
        ("5 m", "C"),
        ("5", None),  # 5 m or 5 s
        ("1.41421356", None),  # not what is written
        ("(A) or (B)", None),
        ("A, B", None),
        ("A and B", None),
        ("AB", None),
        ("E", None),
        ("none", None),
        ("", None),
    ],
)
def test_the_letter_that_an_answer_comes_to(answer: str, letter: str | None) -> None:
    assert chosen_letter(answer, OPTIONS) == letter


def _question(gold: str) -> Question:
    return Question("q", "?", gold, "choice", {"options": list(OPTIONS)})


@pytest.mark.parametrize("gold", "ABCD")
def test_only_the_right_option_scores(gold: str) -> None:
    for letter, option in zip("ABCD", OPTIONS, strict=True):
        expected = "equal" if letter == gold else "different"
        for answer in (letter, f"({letter})", option, extract_answer(f"So \\boxed{{\\text{{{letter}}}}}.")):
            assert score(_question(gold), answer) == expected
            assert asyncio.run(ascore(_question(gold), answer)) == expected
    assert score(_question(gold), None) == "different"


def test_without_the_options_the_letter_alone_counts() -> None:
    question = Question("q", "?", "B", "choice")
    assert score(question, "(B) whatever") == "equal"
    assert score(question, "whatever") == "different"


def test_mathematics_is_scored_by_algebra_and_a_timeout_is_told_apart() -> None:
    question = Question("q", "?", r"3\sqrt{13}")
    assert score(question, r"\sqrt{117}") == "equal"
    assert score(question, "10.8") == "different"
    assert score(question, None) == "different"
    assert score(question, "9^{9^{9^{9}}}+1", timeout=0.5) == "timed_out"
    for kind in ("math", "choice"):
        with pytest.raises(InvalidInputError, match="above 0"):
            score(Question("q", "?", "B", kind), "B", timeout=0)  # type: ignore[arg-type]
