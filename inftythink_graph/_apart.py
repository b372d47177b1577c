"""Running the graph within somebody else's run: traced there, but with streams, limits and checkpoints of its own.

LangGraph takes a graph that runs inside a node for a part of the outer one: it would write into the outer graph's
streams and its checkpointer. A model or a tool is none of that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.callbacks.manager import AsyncRunManager, RunManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context

from inftythink_graph.graph import InftyThinkGraph

__all__ = [
    "arun_apart",
    "astream_apart",
    "callbacks_below",
    "children",
    "run_apart",
    "stream_apart",
    "without_streams",
]

M = TypeVar("M", bound=BaseCallbackManager)

_END = object()


def without_streams(manager: M) -> M:
    """The manager without the handlers that make a stream of what they see; tracers and all others stay.

    What streams an application's messages or events shows the chat model or the tool, not what goes on inside of it.
    """
    # The two methods are how LangChain itself tells such handlers; the type is private.
    manager.handlers = [handler for handler in manager.handlers if not hasattr(handler, "tap_output_iter")]
    manager.inheritable_handlers = [
        handler for handler in manager.inheritable_handlers if not hasattr(handler, "tap_output_iter")
    ]
    return manager


def callbacks_below(source: RunManager | AsyncRunManager | BaseCallbackManager, run_id: UUID) -> BaseCallbackManager:
    """Callbacks for what runs inside of the run ``run_id``: that of ``source``, or one that it is about to start."""
    kind = AsyncCallbackManager if isinstance(source, AsyncRunManager | AsyncCallbackManager) else CallbackManager
    below = kind(handlers=[], parent_run_id=run_id)
    below.set_handlers(source.inheritable_handlers)
    below.add_tags(source.inheritable_tags)
    below.add_metadata(source.inheritable_metadata)
    return without_streams(below)


def children(run: RunManager | AsyncRunManager | None) -> BaseCallbackManager | None:
    """Callbacks for what runs inside of ``run``."""
    return None if run is None else callbacks_below(run, run.run_id)


def stream_apart(
    graph: InftyThinkGraph, input: Any, callbacks: BaseCallbackManager | None, **options: Any
) -> Iterator[Any]:
    """``graph.stream`` as a run of its own, whatever it is called from; ``options`` as there."""
    with set_config_context(RunnableConfig()) as context:
        stream = graph.stream(input, RunnableConfig(callbacks=callbacks), **options)
        try:
            while (item := context.run(next, stream, _END)) is not _END:
                yield item
        finally:
            context.run(stream.close)  # type: ignore[attr-defined]  # a generator


async def astream_apart(
    graph: InftyThinkGraph, input: Any, callbacks: BaseCallbackManager | None, **options: Any
) -> AsyncIterator[Any]:
    """As :func:`stream_apart`, asynchronously. Ends the run where its consumer goes away."""
    items: asyncio.Queue[Any] = asyncio.Queue()

    async def run() -> None:
        try:
            async for item in graph.astream(input, RunnableConfig(callbacks=callbacks), **options):
                items.put_nowait(item)
        finally:
            items.put_nowait(_END)

    with set_config_context(RunnableConfig()) as context:
        task = asyncio.create_task(run(), context=context)
        try:
            while (item := await items.get()) is not _END:
                yield item
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def run_apart(graph: InftyThinkGraph, input: Any, callbacks: BaseCallbackManager | None) -> Any:
    """What ``graph.invoke`` returns, from a run as in :func:`stream_apart`."""
    return deque(stream_apart(graph, input, callbacks, stream_mode="values"), maxlen=1).pop()


async def arun_apart(graph: InftyThinkGraph, input: Any, callbacks: BaseCallbackManager | None) -> Any:
    """As :func:`run_apart`, asynchronously."""
    result: Any = None
    async for values in astream_apart(graph, input, callbacks, stream_mode="values"):
        result = values
    return result
