"""A map over processes that keeps the order and never has more than a few items under way."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from inftythink_graph.errors import InftyThinkError

__all__ = ["ordered_map"]

Result = TypeVar("Result")

_AHEAD = 4
_work: Callable[[Any], Any] | None = None


def _start(maker: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _work = maker(*arguments)


def _call(item: Any) -> Any:
    assert _work is not None
    return _work(item)


def ordered_map(
    maker: Callable[..., Callable[[Any], Result]],
    arguments: tuple[Any, ...],
    items: Iterable[Any],
    *,
    processes: int = 1,
) -> Iterator[Result]:
    """Apply a function to items, in their order.

    Args:
        maker: makes the function, once in every process.
        arguments: what the maker is called with.
        items: what the function is applied to; read only a few per process ahead.
        processes: worker processes; 1 works in this one.

    Raises:
        InftyThinkError: a worker process was ended from outside.
    """
    if processes == 1:
        yield from map(maker(*arguments), items)
        return
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context(method), initializer=_start, initargs=(maker, arguments)
    )
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
