"""Batches the requests of many threads and tasks into shared runs of one in-process model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Batcher"]

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Ticket(Generic[Job, Result]):
    job: Job
    future: Future[Result]


class Batcher(Generic[Job, Result]):
    """One worker thread that takes what is waiting, up to ``max_batch`` jobs, and runs it together.

    While a batch runs, new jobs queue up and form the next one, so batches grow with the load by themselves.

    Args:
        run: computes one result for each job, in order.
        max_batch: most jobs of one run; at least 1.
        name: the worker thread's name.
    """

    def __init__(self, run: Callable[[Sequence[Job]], Sequence[Result]], *, max_batch: int, name: str) -> None:
        self._run = run
        self._max_batch = max_batch
        self._name = name
        self._queue: queue.SimpleQueue[_Ticket[Job, Result]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def submit(self, job: Job) -> Future[Result]:
        """Queue a job; its future can be waited for in a thread or wrapped for an event loop."""
        with self._lock:
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._worker.start()
        future: Future[Result] = Future()
        self._queue.put(_Ticket(job, future))
        return future

    def _take(self) -> list[_Ticket[Job, Result]]:
        tickets = [self._queue.get()]
        while len(tickets) < self._max_batch:
            try:
                tickets.append(self._queue.get_nowait())
            except queue.Empty:
                break
        # A job whose caller gave up while it waited is not worth running.
        return [ticket for ticket in tickets if ticket.future.set_running_or_notify_cancel()]

    def _serve(self) -> None:
        while True:
            tickets = self._take()
            if not tickets:
                continue
            try:
                results = self._run([ticket.job for ticket in tickets])
            except BaseException as error:  # noqa: BLE001 - whatever it was, it belongs to those who wait, not to this thread
                for ticket in tickets:
                    ticket.future.set_exception(error)
                continue
            for ticket, result in zip(tickets, results, strict=True):
                ticket.future.set_result(result)
