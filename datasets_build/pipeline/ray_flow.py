"""Items of this process through stages on a Ray cluster, and their results back here, each once.

The items never lie in the object store all at once: a reader on the cluster asks this process for one after the other,
and gets the next only while few enough are under way. Those are kept here until their results have arrived. So Ray
may run any part again, where a worker or a machine is gone: it finds what it needs, and of what was finished already
an empty item comes by, which nobody works on.
"""

from __future__ import annotations

import asyncio
import pickle
import queue
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import pyarrow as pa
import ray
from ray.data import Dataset, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.exceptions import RayError, RayTaskError

from datasets_build.pipeline.ray_desk import open_desk
from inftythink_graph.errors import InftyThinkError

__all__ = ["Stages", "flow", "work_through", "worked_through"]

_TICK = 0.5  # seconds
_PATIENCE = 30.0  # seconds that an execution which was called off has to end
_DONE = b""
_END = object()
_COLUMNS = pa.schema([("number", pa.int64()), ("item", pa.binary())])

Call: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]
Stages: TypeAlias = Callable[[Dataset, Any], Dataset]


def _table(numbers: list[int], items: list[bytes]) -> pa.Table:
    return pa.table([numbers, items], schema=_COLUMNS)


def work_through(table: pa.Table) -> Iterator[tuple[int, Any]]:
    """The items of a stage's block with their numbers, without those that are finished."""
    for number, item in zip(table["number"].to_pylist(), table["item"].to_pylist(), strict=True):
        if item != _DONE:
            yield number, pickle.loads(item)


def worked_through(table: pa.Table, results: Mapping[int, Any]) -> pa.Table:
    """The block that goes on: the same numbers with their results."""
    numbers = table["number"].to_pylist()
    return _table(numbers, [pickle.dumps(results[each]) if each in results else _DONE for each in numbers])


class _Items(Datasource):
    """One read task that asks the build for its items, until there are none."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """The one task; its nth block is the nth item, also when it runs again."""
        desk = self._desk

        def read() -> Iterator[pa.Table]:
            number = 0
            while (item := ray.get(desk.ask.remote("item", number))) is not None:
                yield _table([number], [item])
                number += 1

        return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None))]


class _Flow:
    """One execution: a thread that answers the workers, a thread that takes Ray Data's results, and the caller's."""

    def __init__(
        self,
        items: Iterator[Any],
        stages: Stages,
        limit: int,
        calls: Callable[[], Mapping[str, Call]],
        tick: Callable[[], None],
        stop: Callable[[], None],
        ordered: bool,
    ) -> None:
        self.desk = open_desk(2 * limit)
        self._items, self._stages, self._limit, self._make_calls = items, stages, limit, calls
        self._tick, self._stop, self._ordered = tick, stop, ordered
        self._fed: dict[int, bytes] = {}
        self._next, self._exhausted = 0, False
        self._workers: list[Any] = []
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._serve, self._execute)]

    # The thread that answers

    def _serve(self) -> None:
        try:
            asyncio.run(self._answer_all())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._arrived.put(error)
        finally:
            self._ready.set()

    async def _answer_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._cancel = task.cancel
        self._room = asyncio.Semaphore(self._limit)
        self._turn, self._over = asyncio.Lock(), asyncio.Event()
        self._calls = {"item": self._item, "enlist": self._enlist, **self._make_calls()}
        self._ready.set()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for number, name, arguments in await self.desk.take.remote():
                        group.create_task(self._answer(number, name, arguments))
        except BaseExceptionGroup as failed:
            first: BaseException = failed
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None

    async def _answer(self, number: int, name: str, arguments: tuple[Any, ...]) -> None:
        value = await self._calls[name](*arguments)
        await self.desk.answer.remote(number, value)

    async def _enlist(self, worker: Any) -> None:
        self._workers.append(worker)

    async def _item(self, number: int) -> bytes | None:
        """The item of this number; what was finished is empty, None is the end of all."""
        if number < self._next:  # a reader that started again
            return self._fed.get(number, _DONE)
        async with self._turn:  # the question of a reader that died may still wait
            if number < self._next:
                return self._fed.get(number, _DONE)
            if not self._exhausted:
                await self._room.acquire()
                item = await self._loop.run_in_executor(None, next, self._items, _END)
                if item is not _END:
                    self._fed[number] = pickle.dumps(item)
                    self._next += 1
                    return self._fed[number]
                self._exhausted = True
                self._arrived.put(None)
        # Until the last result is here, this question is what calling off reaches Ray Data by.
        await self._over.wait()
        return None

    # The thread that takes results

    def _execute(self) -> None:
        try:
            dataset = self._stages(
                ray.data.read_datasource(_Items(self.desk), num_cpus=0, override_num_blocks=1, concurrency=1), self.desk
            )
            for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                self._arrived.put(table)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._arrived.put(error)
        else:
            self._arrived.put(_END)

    # The caller's

    def results(self) -> Generator[Any]:
        """The result of each item."""
        for thread in self._threads:
            thread.start()
        arrived: dict[int, Any] = {}
        upcoming = 0
        try:
            self._ready.wait()
            while not (self._exhausted and not self._fed):
                for number, item in self._taken():
                    if item != _DONE and number in self._fed and number not in arrived:
                        arrived[number] = pickle.loads(item)
                while arrived and (not self._ordered or upcoming in arrived):
                    number = upcoming if self._ordered else next(iter(arrived))
                    yield arrived.pop(number)
                    # Only now: until the caller is done with it, it may be needed again.
                    del self._fed[number]
                    upcoming += 1
                    self._loop.call_soon_threadsafe(self._room.release)
            self._loop.call_soon_threadsafe(self._over.set)
            self._threads[1].join(_PATIENCE)
        finally:
            self._close()

    def _taken(self) -> Iterator[tuple[int, bytes]]:
        try:
            arrived = self._arrived.get(timeout=_TICK)
        except queue.Empty:
            arrived = None
        self._tick()
        if isinstance(arrived, RayError) and not isinstance(arrived, RayTaskError):  # not what our own code raised
            raise InftyThinkError(f"Ray failed: {' '.join(str(arrived).split())[:300]}") from arrived
        if isinstance(arrived, BaseException):
            raise arrived
        if arrived is _END:
            raise InftyThinkError(f"Ray Data ended before {len(self._fed):,} results were there")
        if arrived is not None:
            yield from zip(arrived["number"].to_pylist(), arrived["item"].to_pylist(), strict=True)

    def _close(self) -> None:
        self._stop()
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._cancel)
        self._threads[0].join()
        ray.kill(self.desk)
        self._threads[1].join(_PATIENCE)
        for worker in self._workers:  # Ray Data lets them go when nothing refers to them, and a traceback may
            ray.kill(worker)


def flow(
    items: Iterator[Any],
    stages: Stages,
    *,
    limit: int,
    calls: Callable[[], Mapping[str, Call]] = dict,
    tick: Callable[[], None] = lambda: None,
    stop: Callable[[], None] = lambda: None,
    ordered: bool = False,
) -> Generator[Any]:
    """The results of the items. Closing the iterator calls everything off.

    Args:
        items: read in a thread, a bounded number ahead of the results.
        stages: adds the work to the data set of items; its second argument is the desk that workers ask this process
            by. A stage maps blocks (:func:`work_through`, :func:`worked_through`); its workers enlist at the desk.
        limit: the most items under way.
        calls: makes the calls that workers may ask for by name, on the loop that answers them.
        tick: called at least twice a second.
        stop: called at the end, however it comes: ``items`` should end soon.
        ordered: results come in the order of the items instead of as they come.

    Raises:
        InftyThinkError: Ray Data ended too early.

    Whatever the items or the calls raise is raised here.
    """
    return _Flow(items, stages, limit, calls, tick, stop, ordered).results()
