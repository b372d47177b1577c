"""A few processes that do algebra for :mod:`inftythink_graph.answers`, and that may hang or die without harm.

math-verify's own time limits work in the main thread only and count wall-clock time. Here the kernel ends a worker that
used up its CPU time, the parent ends one that gives no sign of life, and another takes its place. Workers are programs
started anew: they share no memory, no threads and no loaded models with this process, and never import ``__main__``.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inftythink_graph._tidy import Comparison
from inftythink_graph.errors import InftyThinkError

__all__ = ["MathPool", "MissingExtraError", "WorkerError", "require_math_verify", "shared_pool"]

_SCRIPT = Path(__file__).with_name("_math_worker.py")
_START_SECONDS = 120.0  # importing sympy on a busy machine; counted once for each worker
_HAS_CPU_LIMIT = hasattr(signal, "setitimer")
# Wall-clock time of the first and the second attempt, as multiples of the CPU time: a busy machine gets its chance.
_WALL_FACTORS = (4.0, 12.0) if _HAS_CPU_LIMIT else (1.0, 3.0)
_LARGEST = 2


class MissingExtraError(InftyThinkError, ImportError):
    """A comparison needs algebra, and the package that does it isn't installed."""


class WorkerError(InftyThinkError, RuntimeError):
    """The process that does the algebra can't be started."""


def require_math_verify() -> None:
    """Check that math-verify is there, without importing it.

    Raises:
        MissingExtraError: it isn't.
    """
    if importlib.util.find_spec("math_verify") is None:
        raise MissingExtraError(
            "comparing answers by algebra needs math-verify, which is not installed:"
            " pip install 'inftythink-graph[evaluation]'"
        )


class _Worker:
    """One process; used by one thread at a time."""

    def __init__(self) -> None:
        # -P keeps this package's folder off the module path, where its file names could pass for other modules.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def ask(self, message: dict[str, object], seconds: float) -> dict[str, object] | None:
        """Send one message and wait for the reply; None where the process dies, or gives none within ``seconds``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # Killing is what ends the blocking read below: it works on every system, and on a stopped process.
        deadline = threading.Timer(seconds, self.process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except (BrokenPipeError, ValueError):  # it died, or close() was called from the interpreter's exit
            line = ""
        finally:
            deadline.cancel()
        return json.loads(line) if line.endswith("\n") else None

    def close(self) -> int:
        """End the process; returns its exit status."""
        self.process.kill()
        status = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:  # unsent bytes for a process that is gone
                    continue
        return status


class MathPool:
    """At most ``size`` workers, started when first needed. Safe to use from any number of threads."""

    def __init__(self, size: int = min(_LARGEST, os.cpu_count() or 1)) -> None:
        self._size = size
        # The last one back is the first one out: a second worker starts only when two are needed at once.
        self._slots: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that were started and not ended."""
        with self._lock:
            return [worker.process.pid for worker in self._workers]

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Threads for callers in an event loop, one for each worker: they can't use up the loop's own."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="inftythink-answers")
            return self._threads

    def compare(self, candidate: str, gold: str, seconds: float) -> Comparison:
        """Compare by algebra within ``seconds`` of CPU time. Waiting for a free worker doesn't count.

        Raises:
            MissingExtraError: math-verify isn't installed.
            WorkerError: no worker can be started.
        """
        require_math_verify()
        task: dict[str, object] = {"candidate": candidate, "gold": gold, "seconds": seconds}
        for factor in _WALL_FACTORS:
            worker = self._slots.get()
            reply = None
            try:
                worker = worker or self._start()
                reply = worker.ask(task, seconds * factor)
            finally:
                # Whatever happened, the slot goes back: empty where the worker can't be used again.
                usable = worker if reply is not None else None
                out_of_time = worker is not None and usable is None and self._end(worker) == _OUT_OF_CPU
                self._slots.put(usable)
            if reply is not None:
                equal = reply["equal"]
                return Comparison.TIMED_OUT if equal is None else Comparison.EQUAL if equal else Comparison.DIFFERENT
            if out_of_time:
                break  # CPU time is fair: another attempt would end the same way
        return Comparison.TIMED_OUT

    def close(self) -> None:
        """End all workers. A closed pool starts none again."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        for worker in workers:
            self._end(worker)

    def _start(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkerError("answers can't be compared by algebra any more: the interpreter is shutting down")
            worker = _Worker()
            self._workers.add(worker)
        if worker.ask({"path": sys.path}, _START_SECONDS) is None:
            status = self._end(worker)
            raise WorkerError(
                f"the process that compares answers ended with status {status} before it was ready;"
                f" it needs math-verify to import, and {_START_SECONDS:.0f} seconds at most"
            )
        return worker

    def _end(self, worker: _Worker) -> int:
        with self._lock:
            self._workers.discard(worker)
        return worker.close()


_OUT_OF_CPU = -signal.SIGPROF if _HAS_CPU_LIMIT else None

_shared: MathPool | None = None
_shared_lock = threading.Lock()


def shared_pool() -> MathPool:
    """The pool of this process, made on first use and ended with the interpreter."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = MathPool()
            atexit.register(_shared.close)
        return _shared


def _forget_after_fork() -> None:
    # A forked child must not talk over its parent's pipes, nor wait for locks that the parent held.
    global _shared, _shared_lock
    _shared, _shared_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
