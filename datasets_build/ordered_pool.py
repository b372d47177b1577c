"""A map over processes that keeps the order and never has more than a few items under way.

The workers belong to their parent: Ctrl-C, which a terminal sends to all processes alike, is the parent's to handle,
and workers whose parent was killed end by themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import forkserver, resource_tracker
from typing import Any, TypeVar

from inftythink_graph.errors import InftyThinkError

__all__ = ["ordered_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
_work: Callable[[Any], Any] | None = None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start(maker: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread each: the processes are the parallelism
    _work = maker(*arguments)


def _call(item: Any) -> Any:
    assert _work is not None
    return _work(item)


def _start_server(preload: Sequence[str]) -> None:
    """Start the server that workers are forked from, with Ctrl-C held back: its imports take seconds."""
    # Never a plain fork: the tokenizer of this process may have threads.
    forkserver.set_forkserver_preload(list(preload))
    resource_tracker.ensure_running()  # would let Ctrl-C through again
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)


def ordered_map(
    maker: Callable[..., Callable[[Item], Result]],
    arguments: tuple[Any, ...],
    items: Iterable[Item],
    *,
    processes: int = 1,
    preload: Sequence[str] = (),
) -> Generator[Result, None, None]:
    """Apply a function to items, in their order.

    Args:
        maker: makes the function, once in every process.
        arguments: what the maker is called with.
        items: what the function is applied to; read only a few per process ahead.
        processes: worker processes; 1 works in this one.
        preload: modules to import once and not in every worker; only those of the first call in a process count.

    Raises:
        InftyThinkError: a worker process was ended from outside.
    """
    if processes == 1:
        yield from map(maker(*arguments), items)
        return
    _start_server(preload)
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(maker, arguments))
    waiting: deque[Future[Result]] = deque()
    source = iter(items)
    try:
        waiting.extend(pool.submit(_call, item) for item in islice(source, _AHEAD * processes))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(_call, item) for item in islice(source, 1))
            yield result
    except BrokenProcessPool as error:
        raise InftyThinkError(
            "a worker process was ended from outside (out of memory?): take fewer processes"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
