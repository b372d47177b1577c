"""Units of a chain: what protects, what doesn't, where sentences end, where thoughts end."""

# ruff: noqa: RUF001 - the marks of many scripts are what this is about

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.segmentation.regions import blank_out, find_containers, find_regions
from datasets_build.segmentation.sentences import clause_gaps, sentence_gaps
from datasets_build.segmentation.thoughts import THOUGHT, thought_score
from datasets_build.segmentation.units import STAGES, Layout, Unit

PIECES = "$ $$ \\( \\) \\[ \\] \\begin{a} \\end{a} ``` ` ~~~ - 1. | |---| x So . 。 , 5 Wait \\\\ \ue000 é".split(" ")  # noqa: SIM905
MARKUP = st.lists(st.sampled_from([*PIECES, "\n", "\n\n", "- ", ". ", " ", "  ", "\t", "\u2029"]), max_size=60).map(
    "".join
)
TEXTS = st.one_of(MARKUP, st.text(max_size=80)).map(str.strip).filter(bool)


def regions(text: str) -> list[str]:
    return [text[start:end] for start, end in find_regions(text)]


def containers(text: str) -> list[str]:
    return [text[start:end] for start, end in find_containers(text, find_regions(text))]


def sentences(text: str) -> list[str]:
    layout = Layout(text)
    return [text[unit.start : unit.end] for unit in layout.sentences()]


def finest(layout: Layout) -> list[Unit]:
    """All units, split as far as the layout goes."""
    done: list[Unit] = []
    waiting = layout.paragraphs()[::-1]
    while waiting:
        unit = waiting.pop()
        parts = layout.split(unit)
        waiting += parts[::-1]
        if not parts:
            done.append(unit)
    return done


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"so $a. B$ and $$c. D$$ hold", ["$a. B$", "$$c. D$$"]),
        (r"so \(a. B\) and \[c. D\] hold", [r"\(a. B\)", r"\[c. D\]"]),
        ("a $x\n+ y$ b", ["$x\n+ y$"]),
        (r"\[ a \\[2pt] b \]", [r"\[ a \\[2pt] b \]"]),
        (r"\begin{align}a\n\n\begin{align}b\end{align}\end{align}".replace(r"\n", "\n"), None),
        ("x\n```py\na = 1\n\n$b$\n```\ny", ["```py\na = 1\n\n$b$\n```"]),
        ("````\n```\n````", ["````\n```\n````"]),
        ("~~~\n```\n~~~", ["~~~\n```\n~~~"]),
        ("use `a. B` and ``c ` d``", ["`a. B`", "``c ` d``"]),
        ("因此$x+y$是", ["$x+y$"]),
        ("$2, 3$ and $3 (mod 5)$ and $2 \\times 3$", ["$2, 3$", "$3 (mod 5)$", "$2 \\times 3$"]),
        ("$ x + y $ holds", ["$ x + y $"]),
    ],
)
def test_closed_delimiters_protect(text: str, expected: list[str] | None) -> None:
    assert regions(text) == (expected or [text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $5. Then \\(x\\) rises", [r"\(x\)"]),
        ("between $5 and $10 per unit", []),
        ("pay $5 now, then $x$ more", ["$x$"]),
        ("It is 5$ or 6$ a piece", []),
        ("escaped \\$5 and \\$6", []),
        ("a lone $x here.\n\nAnd $y$ there", ["$y$"]),
        ("open \\[ x\n\ny \\]", []),
        ("open \\( and \\( and \\(z\n\n\\(w\\)", [r"\(w\)"]),
        ("```py\na = 1\n\nNever closed. $b$", ["$b$"]),
        ("\\begin{a} open\n\n\\begin{a}x\\end{a}", [r"\begin{a}x\end{a}"]),
        ("\\end{a} x \\) y \\] z", []),
        ("one ` tick. And no more", []),
    ],
)
def test_unclosed_delimiters_do_not_protect_the_rest(text: str, expected: list[str]) -> None:
    assert regions(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a. B\n- c. D\nrest", ["- a. B", "- c. D"]),
        ("1. a\n   goes on\n\n   \\[x\\]\n2) b", ["1. a\n   goes on\n\n   \\[x\\]", "2) b"]),
        ("- a\n  - b\n    more\n- c", ["- a", "- b\n    more", "- c"]),
        ("- a\n\nrest", ["- a"]),
        ("- a ```\nno fence\n\nb", ["- a ```"]),
        ("- code:\n```\n- x\n\ny\n```\nrest", ["- code:"]),
        ("- \\[\nx\n\\]\nrest", ["- \\[\nx\n\\]"]),
        ("| a | b |\n|---|---|\n| 1. X | 2 |", ["| a | b |\n|---|---|", "| 1. X | 2 |"]),
        ("-5 is no item\n*nor* this\n3.14 neither", []),
    ],
)
def test_list_items_and_table_rows_are_containers(text: str, expected: list[str]) -> None:
    assert containers(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Pi is 3.14 or so.|Next.",
        "See Fig. 2 and Eq. (3).|No. 5 holds, e.g. Euler and i.e. Gauss vs. Newton.|Done.",
        "The answer is no.|Then we stop.",
        "J. Smith and A. Weil agree.|The angle is at A.|Then B follows.",
        "We get 5.|Then 6.",
        "5! = 120 and 3! is 6!|Good.",
        'Really?!|Yes...|No (see above.)|"Quoted."|End.',
        "It is \\(x\\).|\\(y\\) follows.|$z$ too.",
        "Hmm…|Let me see.",
        "ellipsis... goes on.|End",
        "so.|**Bold** begins.|*Kursiv* too.",
        "因此x=5。|所以我们得到3.14！|对吗？|“是的。”|好",
        "「そうだ。」と言った。|次に３．１４を使う。|では",
        "क्या यह सही है?|हाँ।|ठीक।",
        "هل هذا صحيح؟|نعم.|حسنا۔|ثم",
    ],
)
def test_sentences(text: str) -> None:
    expected = text.split("|")
    spaced = "".join(
        part + ("" if index + 1 == len(expected) or part[-1] in "。！？”" else " ")
        for index, part in enumerate(expected)
    )
    assert sentences(spaced) == expected


def test_enumerators_end_no_sentence() -> None:
    text = "Plan:\n2. Solve it. Check it.\na. First"
    assert [text[:end] for end, _ in sentence_gaps(text, 0, len(text))] == ["Plan:\n2. Solve it."]


def test_clauses() -> None:
    text = "a, b; c: 1,000 — d，e \\\\ f"
    pieces, start = [], 0
    for end, following in clause_gaps(text, 0, len(text)):
        pieces.append(text[start:end])
        start = following
    assert [*pieces, text[start:]] == ["a,", "b;", "c:", "1,000 —", "d，", "e \\\\", "f"]


def test_stages_go_from_paragraphs_to_words_and_open_what_is_protected_last() -> None:
    text = "One two, three. Four.\nFive\n\n- item one. Item two\n- $a b$ c"
    layout = Layout(text)
    assert [text[u.start : u.end] for u in layout.paragraphs()] == text.split("\n\n")
    assert [u.cut for u in layout.sentences()] == ["sentence", "line", "paragraph", "line", "end"]
    pieces = [(text[u.start : u.end], u.cut) for u in finest(layout)]
    assert ("two,", "clause") in pieces
    assert ("$a", "word") in pieces, "a formula opens when nothing else is left"
    item = next(u for u in layout.sentences() if text.startswith("- $a", u.start))
    assert [text[u.start : u.end] for u in layout.split(item)] == ["-", "$a b$", "c"], "but not before"


@settings(max_examples=300)
@given(text=TEXTS)
def test_units_of_every_fineness_cover_the_text_in_order(text: str) -> None:
    layout = Layout(text)
    for units in (layout.paragraphs(), layout.sentences(), finest(layout)):
        at = 0
        for unit in units:
            assert unit.start < unit.end
            assert not text[at : unit.start].strip(), "only white space stands between"
            assert text[unit.start : unit.end].strip() == text[unit.start : unit.end]
            at = unit.end
        assert at == len(text)
        assert [unit.cut == "end" for unit in units] == [False] * (len(units) - 1) + [True]
    assert all(unit.stage < STAGES for unit in finest(layout))


@settings(max_examples=300)
@given(text=TEXTS)
def test_units_down_to_sentences_cut_through_nothing_protected(text: str) -> None:
    inner = find_regions(text)
    guarded = inner + find_containers(text, inner)
    assert inner == sorted(inner)
    assert len(blank_out(text, inner)) == len(text)
    for unit in Layout(text).sentences()[:-1]:
        assert not [region for region in guarded if region[0] < unit.end < region[1]]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 5.", "Wait, is it?"),
        ("x = 5.", "Alternatively, we factor."),
        ("x = 5.", "Hmm, odd."),
        ("x = 5.", "Let me check that."),
        ("x = 5.", "Let me verify."),
        ("x = 5.", "But 5 is prime."),
        ("x = 5.", "So it holds."),
        ("x = 5.", "Now the second part."),
        ("x = 5.", "Next, y."),
        ("x = 5.", "Okay."),
        ("x = 5.", "**Wait**"),
        ("x = 5.", "## Step"),
        ("x = 5.", "---\nmore"),
        ("x = 5.", "Case 2: y"),
        ("x = 5。", "等等，不对。"),
        ("x = 5。", "让我检查一下。"),
        ("x = 5。", "现在看第二部分。"),
        ("So it is \\boxed{5}.", "The other one is 6."),
    ],
)
def test_thoughts_end(before: str, after: str) -> None:
    text = f"{before}\n\n{after}"
    assert THOUGHT <= thought_score(text, 0, len(before), len(before) + 2) <= 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 5.", "The sum is 6."),
        ("x = 5.", "Waiting is long."),
        ("x = 5.", "Some sums"),
        ("We compute:", "So 5"),
        ("## Heading", "Now"),
        ("x = 5.", "Therefore y = 6."),
        ("x = 5.", "因此 y = 6。"),
    ],
)
def test_thoughts_go_on(before: str, after: str) -> None:
    text = f"{before}\n\n{after}"
    assert -0.5 <= thought_score(text, 0, len(before), len(before) + 2) < THOUGHT


def test_a_completed_derivation_makes_a_cut_better() -> None:
    def score(before: str) -> float:
        return thought_score(f"{before} Now y.", 0, len(before), len(before) + 1)

    assert score("Some x.") < score("Therefore, x is 5.") < score("Then \\boxed{5}.")
    assert score("Some x.") < score("So that checks out.")


def lines_run(function: Callable[[], Any]) -> int:
    """The number of lines of Python that a call runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


HARD = [
    "\\(",
    "$x ",
    "$",
    "`",
    "\\begin{a}",
    "\\[x ",
    "\n```a",
    "- a\n",
    "- a\n\n  ",
    ".",
    "a. ",
    "5! ",
    "\n",
    " \n",
    "|a\n",
    "。",
]


@pytest.mark.parametrize("piece", HARD)
def test_work_grows_linearly(piece: str) -> None:
    def work(repeats: int) -> int:
        text = f"a{piece * repeats}b"
        return lines_run(lambda: (Layout(text).sentences(), Layout(text).split(Unit(0, len(text), "end", -1))))

    assert work(400) < 2.5 * work(200) + 500


@pytest.mark.parametrize("piece", [*HARD, " ", "\n  ", ")", ".)", "x", "~", "1. ", "*", "\\", "\u3000", ", ", "$1,"])
def test_long_runs_of_one_thing_are_no_trap(piece: str) -> None:
    """A quadratic pattern would need ten billion steps here."""
    text = f"a{piece * (150_000 // len(piece))}b"
    layout = Layout(text)
    assert layout.sentences()[-1].end == len(text)
    assert layout.paragraphs()[-1].end == len(text)
