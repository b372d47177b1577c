"""The server that a benchmark talks to: one that runs, or vLLM with a folder of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai

from inftythink_graph.models import bundled_path
from inftythink_graph.serve import running_server

__all__ = ["served"]


@contextmanager
def served(base_url: str | None, model: str | None) -> Iterator[tuple[str, str]]:
    """Address and name of the model, served as long as the context lasts.

    Args:
        base_url: a server that runs; None starts one.
        model: its name there, None for the first one; or else the folder to serve, None for the bundled model.
    """
    if base_url:
        yield base_url, model or openai.OpenAI(base_url=base_url, api_key="none").models.list().data[0].id
        return
    with running_server(model or str(bundled_path()), name="bundled", startup_timeout=900) as server:
        yield server.base_url, "bundled"
