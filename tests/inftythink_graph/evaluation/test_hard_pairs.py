"""Hard pairs of answers, equal and different; the same on a loaded machine, in threads and in a running event loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hard_pairs import DIFFERENT, EQUAL
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph._normalization import decide
from inftythink_graph._tidy import Undecided
from inftythink_graph.answers import Comparison
from inftythink_graph.evaluation.scoring import ascore, chosen_letter, score
from inftythink_graph.evaluation.trials import Question, Scoring


def _question(gold: str) -> Question:
    return Question("q", "?", gold)


def _expected() -> list[tuple[str, str, Scoring]]:
    listed: list[tuple[str, str, Scoring]] = []
    for pairs, scoring in ((EQUAL, "equal"), (DIFFERENT, "different")):
        listed += [(answer, gold, scoring) for group in pairs.values() for answer, gold in group]  # type: ignore[misc]
    return listed


EXPECTED = _expected()
ALGEBRA = [pair for pair in EXPECTED if isinstance(decide(pair[0], pair[1]), Undecided)]


def _wrong(scorings: list[Scoring], expected: list[tuple[str, str, Scoring]]) -> list[tuple[str, str, Scoring]]:
    return [(answer, gold, got) for got, (answer, gold, want) in zip(scorings, expected, strict=True) if got != want]


@pytest.mark.parametrize("topic", EQUAL)
def test_equal(topic: str) -> None:
    wrong = [pair for pair in EQUAL[topic] if score(_question(pair[1]), pair[0]) != "equal"]
    assert wrong == []


@pytest.mark.parametrize("topic", DIFFERENT)
def test_different(topic: str) -> None:
    wrong = [pair for pair in DIFFERENT[topic] if score(_question(pair[1]), pair[0]) != "different"]
    assert wrong == []


def test_no_pair_is_listed_as_both() -> None:
    seen = [(answer, gold) for answer, gold, _ in EXPECTED]
    assert len(seen) == len(set(seen))
    assert len(ALGEBRA) > 100, "the pairs must try the algebra as well as the text"


_COMMANDS = [
    "\\overline{",
    "\\pmod{",
    "\\text{",
    "\\frac",
    "\\pi",
    "^\\circ",
    "\\{",
    "\\}",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
]
_MARKS = [
    "}",
    "{",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ":",
    ".",
    "&",
    "\\\\",
    "\\,",
    "_",
    "^",
    "=",
    "<",
    "|",
    "$",
    "%",
    "\u20ac",
    "\u221a",
    " ",
]
_PARTS = [
    "0",
    "7",
    "16",
    "cm",
    "base",
    "mod",
    "am",
    "pi",
    "x",
    "R",
    "r",
    "(A)",
    " or ",
    "B)",
    "the ",
    "\u0663",
    "\u00b2",
]


@settings(max_examples=400, deadline=None)
@given(*[st.lists(st.sampled_from([*_COMMANDS, *_MARKS, *_PARTS]), max_size=25).map("".join)] * 2)
def test_no_text_is_too_odd_to_be_compared(left: str, right: str) -> None:
    decide(left, right)
    chosen_letter(left, [right, "x"])
    same = decide(f" {left}", left)
    assert same is (Comparison.EQUAL if left.strip() else Comparison.DIFFERENT)


@pytest.mark.parametrize("piece", ["(", "\\{x:<", "0.", "7", "\\text{", "1,", "} 16", "_(", "1:", " ", "\\overline{"])
def test_the_longest_texts_take_no_time(piece: str) -> None:
    text = (piece * 2000)[:1999]
    started = time.process_time()
    decide(text, text[:-1] + "}")
    decide(text, "7")
    chosen_letter(piece * 10**6, ["x", "y"])
    assert time.process_time() - started < 5


# --- off the main thread, on a loaded machine ------------------------------------------------------------------------


def test_threads_score_the_same() -> None:
    names: set[str] = set()

    def scored(pair: tuple[str, str, Scoring]) -> Scoring:
        names.add(threading.current_thread().name)
        return score(_question(pair[1]), pair[0])

    with ThreadPoolExecutor(8) as threads:
        assert _wrong(list(threads.map(scored, EXPECTED)), EXPECTED) == []
    assert threading.main_thread().name not in names


async def test_a_running_event_loop_scores_the_same() -> None:
    scorings = await asyncio.gather(*(ascore(_question(gold), answer) for answer, gold, _ in EXPECTED))
    assert _wrong(list(scorings), EXPECTED) == []


def test_an_event_loop_off_the_main_thread_scores_the_same() -> None:
    async def scored() -> list[Scoring]:
        return await asyncio.gather(*(ascore(_question(gold), answer) for answer, gold, _ in ALGEBRA))

    with ThreadPoolExecutor(1) as threads:
        assert _wrong(threads.submit(asyncio.run, scored()).result(), ALGEBRA) == []


@pytest.fixture
def load() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two busy processes for every processor."""
    code = "import time\nend = time.monotonic() + 300\nwhile time.monotonic() < end: pass"
    burning = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2 * (os.cpu_count() or 1))]
    yield burning
    for process in burning:
        process.kill()
        process.wait()


def test_a_loaded_machine_scores_the_same(load: list[subprocess.Popen[bytes]]) -> None:
    with ThreadPoolExecutor(8) as threads:
        scorings = list(threads.map(lambda pair: score(_question(pair[1]), pair[0]), ALGEBRA))
    assert all(process.poll() is None for process in load), "the load must have lasted"
    assert _wrong(scorings, ALGEBRA) == []
