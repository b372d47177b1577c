"""The worker processes that compare by algebra: side by side, hanging, killed, stopped, forked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from inftythink_graph import _math_pool, answers
from inftythink_graph._math_pool import MathPool, shared_pool
from inftythink_graph.answers import (
    Comparison,
    acompare,
    answers_equal,
    compare,
    gold_verifier,
)
from inftythink_graph.verdicts import Candidate

EQUAL, DIFFERENT, TIMED_OUT = Comparison.EQUAL, Comparison.DIFFERENT, Comparison.TIMED_OUT
TOWER = "9^{9^{9^{9}}}+1"  # never comes back from one big-integer power


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


def test_a_gold_verifier_reports_a_timeout_as_such(pool: MathPool) -> None:
    verdict = gold_verifier("5x", timeout=0.5)(Candidate(question="q", answer=TOWER, conclusion=TOWER, epoch=3))
    assert not verdict.accepted
    assert "in time" in verdict.reason
