"""The graph for LangGraph Studio: ``langgraph dev`` serves it as ``langgraph.json`` says.

Run as:
    langgraph dev                                                     # the bundled model, in this process
    INFTYTHINK_BASE_URL=http://127.0.0.1:8000/v1 langgraph dev        # a server that runs, for any question

``INFTYTHINK_MODEL`` names the model on a server that serves several. Everything else is set in Studio, for an
assistant or for one run: the fields of ``InftyThinkContext``.
"""

from __future__ import annotations

import os

from langchain_core.language_models import BaseChatModel

from inftythink_graph import ChatVLLM, EmbeddedChatModel, create_inftythink_graph

__all__ = ["graph"]


def _model() -> BaseChatModel:
    if base_url := os.environ.get("INFTYTHINK_BASE_URL"):
        return ChatVLLM(base_url=base_url, model=os.environ.get("INFTYTHINK_MODEL", ""))
    return EmbeddedChatModel()


# No checkpointer: the server of `langgraph dev` brings its own.
graph = create_inftythink_graph(_model(), max_epochs=200)
