"""The summarizer's graph, run both ways."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from scripted_summarizer import EXAMPLE, Ran, graph_of


@pytest.fixture(params=["sync", "async"])
def ran(request: pytest.FixtureRequest) -> Ran:
    """Runs the graph blocking or not: everything below holds for both."""

    def run(model: BaseChatModel, example: dict[str, Any] = EXAMPLE, **options: Any) -> dict[str, Any]:
        graph = graph_of(model, **options)
        if request.param == "sync":
            return graph.invoke(example)
        return asyncio.run(graph.ainvoke(example))

    return run
