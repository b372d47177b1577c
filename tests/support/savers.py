"""Every checkpointer under test, opened by name, and a run on one of them in a process that is killed.

Run as: ``python savers.py KIND ADDRESS sync|async CALLS``; it is killed (``kill -9``) in the model call after those.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from power_cut import Dies

from datasets_build.synthetic import problem
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph

__all__ = ["CONFIG", "PROBLEM", "SAVERS", "aopen_saver", "open_saver"]

SAVERS = ("memory", "sqlite", "postgres")
CONFIG: Any = {"configurable": {"thread_id": "t"}}
PROBLEM = problem("product", (25, 32))


@contextmanager
def open_saver(kind: str, address: str) -> Iterator[BaseCheckpointSaver[Any]]:
    """The saver of that kind, ready for use; ``address`` is a file or a connection string."""
    if kind == "memory":
        yield InMemorySaver()
    elif kind == "sqlite":
        with SqliteSaver.from_conn_string(address) as saver:
            yield saver
    else:
        with PostgresSaver.from_conn_string(address) as saver:
            saver.setup()
            yield saver


@asynccontextmanager
async def aopen_saver(kind: str, address: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """As :func:`open_saver`, for asynchronous runs."""
    if kind == "memory":
        yield InMemorySaver()
    elif kind == "sqlite":
        async with AsyncSqliteSaver.from_conn_string(address) as saver:
            yield saver
    else:
        async with AsyncPostgresSaver.from_conn_string(address) as saver:
            await saver.setup()
            yield saver


def _run(kind: str, address: str, config: Any) -> None:
    with open_saver(kind, address) as saver:
        graph = create_inftythink_graph(EmbeddedChatModel(), checkpointer=saver, keep_trace=True)
        graph.invoke({"question": PROBLEM.question}, config, durability="sync")


async def _arun(kind: str, address: str, config: Any) -> None:
    async with aopen_saver(kind, address) as saver:
        graph = create_inftythink_graph(EmbeddedChatModel(), checkpointer=saver, keep_trace=True)
        await graph.ainvoke({"question": PROBLEM.question}, config, durability="sync")


if __name__ == "__main__":
    kind, address, mode, calls = sys.argv[1:]
    config = {**CONFIG, "callbacks": [Dies(int(calls))]}
    if mode == "sync":
        _run(kind, address, config)
    else:
        asyncio.run(_arun(kind, address, config))
