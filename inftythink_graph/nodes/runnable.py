"""A node, and the choice of the next one, as LangGraph runs them, blocking or awaiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig, ensure_config

from inftythink_graph.nodes.flow import Caller, Flow

__all__ = ["NodeRunnable", "RouteRunnable"]


class NodeRunnable(Runnable[Any, dict[str, Any]]):
    """Drives the flow of a node.

    LangGraph traces each node by itself. A ``RunnableLambda`` would add a second span of the same, and with it a tenth
    to what an epoch costs the client.

    Args:
        caller: performs the effects.
        flow: the node's body for a state.
    """

    def __init__(self, caller: Caller, flow: Callable[[Any], Flow]) -> None:
        self._caller = caller
        self._flow = flow

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:
        """Run the node, blocking."""
        return self._caller.run(self._flow(input), config if config is not None else ensure_config())

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:
        """Run the node without blocking the event loop."""
        return await self._caller.arun(self._flow(input), config if config is not None else ensure_config())


class RouteRunnable(Runnable[Any, str]):
    """Names the node that comes next.

    A plain function would run in a thread of its own, in a task of its own and in a span of its own, once an epoch.

    Args:
        route: from the state to a node's name.
    """

    name = "route"

    def __init__(self, route: Callable[[Any], str]) -> None:
        self._route = route

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        """The next node."""
        return self._route(input)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        """The next node; there is nothing to wait for."""
        return self._route(input)
