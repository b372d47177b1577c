"""The known answers of MATH-500: each is equal to itself however it is written, and none to another by mistake."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shared_data import shared_rows

from inftythink_graph._math_pool import shared_pool
from inftythink_graph._normalization import decide, is_plain
from inftythink_graph._tidy import Undecided, for_algebra, tidy
from inftythink_graph.answers import Comparison, compare, extract_answer
from inftythink_graph.evaluation.scoring import score
from inftythink_graph.evaluation.trials import Question

# Known answers of different problems that are equal without being the same text, and why. Reviewed one by one.
EQUAL_PAIRS = {
    (r"2 \sqrt{5}", r"2\sqrt{5}"): "the same, spaced",
    (r"\frac14", r"\frac{1}{4}"): "the same in braces",
    (r"10,\!080", "10080"): "the same number, grouped",
    ("-2,1", "1,-2"): "the same two numbers, in no order",
    ("(-2,1)", "-2,1"): "a point may lack its brackets",
    ("5", "x=5"): "the value of the one unknown",
    ("15", r"15\mbox{ cm}^2"): "a unit may be left out",
    ("36", r"\$36"): "a unit may be left out",
    ("120", r"120^\circ"): "a unit may be left out",
    ("30", r"30^\circ"): "a unit may be left out",
    ("36", r"36^\circ"): "a unit may be left out",
    ("90", r"90^\circ"): "a unit may be left out",
    (r"180^\circ", r"\pi"): "180 degrees are pi",
    ("40", "40_9"): "a base may be left out",
    ("36", "40_9"): "40 in base 9 is 36",
    ("204_5", "54"): "204 in base 5 is 54",
    ("42", "52_8"): "52 in base 8 is 42",
}


# The ids and the answers alone; the problems are not needed to compare answers.
GOLDS = Path(__file__).parents[2] / "data" / "math500_golds.jsonl"


@pytest.fixture(scope="module")
def golds() -> list[str]:
    """The known answers, one for each of the 500 problems."""
    answers = [json.loads(line)["answer"] for line in GOLDS.read_text(encoding="utf-8").splitlines()]
    assert len(answers) == 500
    return answers


def test_the_answers_are_those_of_the_data_set() -> None:
    known = [{"unique_id": row["unique_id"], "answer": row["answer"]} for row in shared_rows("math500.jsonl")]
    assert known == [json.loads(line) for line in GOLDS.read_text(encoding="utf-8").splitlines()]


def _spellings(gold: str) -> list[str]:
    """The same answer as other hands write it."""
    sized = gold.replace("\\left", "").replace("\\right", "").replace("\\{", "<").replace("\\}", ">")
    sized = sized.replace("(", "\\left(").replace(")", "\\right)").replace("<", "\\left\\{").replace(">", "\\right\\}")
    return [
        f"${gold}$",
        f"\\({gold}\\)",
        f"\\boxed{{{gold}}}",
        f"  {gold} .",
        gold.replace("\\frac", "\\dfrac"),
        gold.replace("\\mbox", "\\text").replace("\\text", "\\mathrm"),
        sized,
    ]


def test_every_known_answer_equals_itself_in_every_spelling(golds: list[str]) -> None:
    wrong = [
        (gold, spelling)
        for gold in dict.fromkeys(golds)
        for spelling in _spellings(gold)
        if score(Question("q", "?", gold), spelling) != "equal"
    ]
    assert wrong == []


def test_every_known_answer_is_found_in_a_conclusion(golds: list[str]) -> None:
    for gold in golds:
        for conclusion in (
            f"Hence the answer is $\\boxed{{{gold}}}$.",
            f"So first \\boxed{{0}}, and then\n\\[\\boxed{{{gold}}}\\]\nas wanted.",
            f"**Final answer**\n\n\\boxed{{{gold}}}\n",
        ):
            answer = extract_answer(conclusion)
            assert answer == gold
            assert score(Question("q", "?", gold), answer) == "equal"


def test_the_algebra_reads_every_known_answer_as_itself(golds: list[str]) -> None:
    texts = [for_algebra(tidy(gold)) for gold in dict.fromkeys(golds) if not is_plain(gold)]
    assert len(texts) > 80
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda text: shared_pool().compare(text, text, 10), texts))
    assert [text for text, result in zip(texts, results, strict=True) if result is not Comparison.EQUAL] == []


def test_no_known_answer_equals_that_of_another_problem_unless_they_are_the_same(golds: list[str]) -> None:
    """All 249,500 ordered pairs: those of equal texts at once, all others by the scorer itself, none left out."""
    texts = sorted(set(golds))
    decided = {pair: decide(*pair) for pair in itertools.permutations(texts, 2)}
    undecided = [pair for pair, result in decided.items() if isinstance(result, Undecided)]
    with ThreadPoolExecutor(4) as threads:
        results = dict(zip(undecided, threads.map(lambda pair: compare(*pair), undecided), strict=True))
    assert Comparison.TIMED_OUT not in results.values()
    equal = {tuple(sorted(pair)) for pair, result in (decided | results).items() if result is Comparison.EQUAL}
    assert equal == {tuple(sorted(pair)) for pair in EQUAL_PAIRS}
