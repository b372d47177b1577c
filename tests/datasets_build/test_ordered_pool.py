"""The pool of worker processes: in order, a few items ahead, and no longer there than its parent."""

from __future__ import annotations

import operator
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from datasets_build.ordered_pool import ordered_map


def test_processes_change_nothing_but_the_time() -> None:
    items = list(range(40))
    assert list(ordered_map(partial, (operator.add, 3), items, processes=2)) == [each + 3 for each in items]
    taken = 0

    def counted() -> Iterator[int]:
        nonlocal taken
        for each in items:
            taken += 1
            yield each

    results = ordered_map(partial, (operator.add, 3), counted(), processes=2)
    next(results)
    assert taken <= 9
    results.close()


def test_workers_end_with_a_parent_that_is_killed() -> None:
    code = (
        "from functools import partial; from datasets_build.ordered_pool import ordered_map\n"
        "work = ['__import__(\"os\").getpid()'] * 2 + ['__import__(\"time\").sleep(600)'] * 8\n"
        "for pid in ordered_map(partial, (eval,), work, processes=2): print(pid, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(2)}
        assert all(_runs(pid) for pid in workers)
        parent.kill()
    end = time.monotonic() + 60
    while any(_runs(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(_runs(pid) for pid in workers)


def _runs(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
