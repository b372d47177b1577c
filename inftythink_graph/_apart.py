"""Running the graph within somebody else's run: traced there, but with streams, limits and checkpoints of its own.

LangGraph takes a graph that runs inside a node for a part of the outer one: it would write into the outer graph's
streams and its checkpointer. A model or a tool is none of that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.callbacks.manager import AsyncRunManager, RunManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from inftythink_graph.graph import InftyThinkGraph
from inftythink_graph.nodes.tokens import is_stream

__all__ = [
    "arun_apart",
    "astream_apart",
    "callbacks_below",
    "run_apart",
    "stream_apart",
    "without_streams",
]

M = TypeVar("M", bound=BaseCallbackManager)

_END = object()


def without_streams(manager: M, *, tracers_only: bool = False) -> M:
    """The manager without the handlers that make a stream of what they see.

    What streams an application's messages or events shows the chat model or the tool, not what goes on inside of it.
    With ``tracers_only``, no other handlers are left than those that keep a tree of runs.
    """

    def stays(handler: BaseCallbackHandler) -> bool:
        if is_stream(handler):
            return False
        return not tracers_only or isinstance(handler, BaseTracer | AsyncBaseTracer)

    manager.handlers = list(filter(stays, manager.handlers))
    manager.inheritable_handlers = list(filter(stays, manager.inheritable_handlers))
    return manager


def callbacks_below(
    source: RunManager | AsyncRunManager | BaseCallbackManager, run_id: UUID, *, tracers_only: bool
) -> BaseCallbackManager:
    """Callbacks for what runs inside of the run ``run_id``: that of ``source``, or one that it is about to start."""
    kind = AsyncCallbackManager if isinstance(source, AsyncRunManager | AsyncCallbackManager) else CallbackManager
    below = kind(handlers=[], parent_run_id=run_id)
    below.set_handlers(source.inheritable_handlers)
    below.add_tags(source.inheritable_tags)
    below.add_metadata(source.inheritable_metadata)
    return without_streams(below, tracers_only=tracers_only)


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
) -> AsyncGenerator[Any, None]:
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
