"""Answers: found in a conclusion, compared in any thread, judged in a run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph import _math_pool, answers
from inftythink_graph._math_pool import MathPool, shared_pool
from inftythink_graph._normalization import decide
from inftythink_graph._tidy import Undecided
from inftythink_graph.answers import (
    Comparison,
    MissingExtraError,
    acompare,
    answers_equal,
    choice_letter,
    compare,
    extract_answer,
    gold_verifier,
)
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.verdicts import Candidate, Verdict

EQUAL, DIFFERENT, TIMED_OUT = Comparison.EQUAL, Comparison.DIFFERENT, Comparison.TIMED_OUT
TOWER = "9^{9^{9^{9}}}+1"  # never comes back from one big-integer power

# --- extraction ------------------------------------------------------------------------------------------------------


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
        (r"\begin{bmatrix} -0.2 \\ 18/5 \end{bmatrix}", r"\begin{pmatrix} -1/5 \\ 18/5 \end{pmatrix}", EQUAL),
        ("2^{3}4", "2^{34}", DIFFERENT),
        (r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", DIFFERENT),
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


def test_threads_compare_at_the_same_time() -> None:
    pairs = [(f"x+{i}", f"{i}+x") if i % 2 else (f"x+{i}", f"x-{i + 1}") for i in range(24)]
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda pair: answers_equal(*pair), pairs))
    assert results == [bool(i % 2) for i in range(24)]
    assert len(shared_pool().pids) <= 2


async def test_an_event_loop_goes_on_while_answers_are_compared() -> None:
    ticks, running = 0, True

    async def tick() -> None:
        nonlocal ticks
        while running:
            ticks += 1
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    results = await asyncio.gather(*(acompare(f"{i}y+x", f"x+{i}y") for i in range(2, 34)))
    at_the_end = ticks
    running = False
    await ticking
    assert results == [EQUAL] * 32
    assert at_the_end > 5
    loop_threads = [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]
    assert not loop_threads, "comparisons must not use up the loop's own threads"


def test_a_signal_handler_of_the_caller_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert answers_equal("z+1", "1+z")
    assert signal.getsignal(signal.SIGALRM) is before


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[MathPool]:
    """A pool of one worker in place of the shared one."""
    fresh = MathPool(1)
    monkeypatch.setattr(_math_pool, "_shared", fresh)
    yield fresh
    fresh.close()


def test_a_comparison_that_hangs_is_told_from_a_wrong_answer(pool: MathPool) -> None:
    assert compare("x+1", "1+x") is EQUAL
    (first,) = pool.pids
    assert compare(TOWER, "5x", timeout=0.5) is TIMED_OUT
    assert not answers_equal(TOWER, "5x", timeout=0.5)
    assert compare("x+2", "2+x") is EQUAL
    assert pool.pids != [first]


async def test_a_comparison_that_hangs_does_not_stop_the_loop(pool: MathPool) -> None:
    hanging = asyncio.create_task(acompare(TOWER, "5x", timeout=0.5))
    assert await acompare("1", "1.0") is EQUAL
    assert not hanging.done()
    assert await hanging is TIMED_OUT


def test_the_pool_recovers_from_a_killed_worker(pool: MathPool) -> None:
    assert compare("x+1", "1+x") is EQUAL
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    assert compare("x+2", "2+x") is EQUAL
    assert compare("x+2", "3+x") is DIFFERENT
    assert len(pool.pids) == 1
    assert pool.pids != [pid]


def test_a_worker_that_is_stopped_is_replaced_and_the_comparison_repeated(
    pool: MathPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_math_pool, "_WALL_FACTORS", (0.2, 12.0))
    assert compare("x+1", "1+x", timeout=20) is EQUAL
    (pid,) = pool.pids
    os.kill(pid, signal.SIGSTOP)  # no CPU time passes: only the clock can tell
    assert compare("x+2", "2+x", timeout=5) is EQUAL
    assert pool.pids != [pid]


def test_a_closed_pool_leaves_no_process(pool: MathPool) -> None:
    compare("x+1", "1+x")
    (pid,) = pool.pids
    pool.close()
    assert pool.pids == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(answers.WorkerError, match="shutting down"):
        compare("x+1", "1+x")


def _python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_answers_loads_no_algebra() -> None:
    heavy = ("math_verify", "sympy", "torch")
    assert _python(f"import sys, inftythink_graph.answers; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_workers_end_with_the_interpreter_and_no_main_guard_is_needed() -> None:
    code = (
        "import inftythink_graph.answers as a\nprint(a.compare('x+1', '1+x').value)\n"
        "from inftythink_graph._math_pool import shared_pool\nprint(*shared_pool().pids)"
    )
    said, pid = _python(code).splitlines()
    assert said == "equal"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_forked_child_gets_workers_of_its_own() -> None:
    code = (
        "import os, inftythink_graph.answers as a\n"
        "from inftythink_graph._math_pool import shared_pool\n"
        "a.compare('x+1', '1+x'); before = set(shared_pool().pids)\n"
        "child = os.fork()\n"
        "ok = a.answers_equal('x+3', '3+x') and (child or not before & set(shared_pool().pids))\n"
        "if not child: shared_pool().close(); os._exit(0 if ok else 1)\n"
        "print(ok and os.waitpid(child, 0)[1] == 0)"
    )
    assert _python(code) == "True"


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


def test_a_gold_verifier_reports_a_timeout_as_such(pool: MathPool) -> None:
    verdict = gold_verifier("5x", timeout=0.5)(_candidate(TOWER))
    assert not verdict.accepted
    assert "in time" in verdict.reason


@pytest.mark.parametrize(("gold", "timeout"), [("", 5.0), ("  ", 5.0), ("5", 0.0)])
def test_a_gold_verifier_refuses_what_can_not_work(gold: str, timeout: float) -> None:
    with pytest.raises(InvalidInputError):
        gold_verifier(gold, timeout=timeout)
