"""Reasoning of unbounded depth in a bounded context, as a LangGraph component (InftyThink, arXiv 2503.06692)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import (
    CheckpointError,
    InftyThinkError,
    InvalidInputError,
    ModelNotServedError,
    ServerUnavailableError,
    WindowTooSmallError,
)
from inftythink_graph.protocol import Protocol
from inftythink_graph.verdicts import Candidate, Verdict, Verifier

if TYPE_CHECKING:
    from inftythink_graph.chat_model import ChatInftyThink
    from inftythink_graph.graph import create_inftythink_graph
    from inftythink_graph.models import ChatVLLM, EmbeddedChatModel
    from inftythink_graph.state import EpochRecord, InftyThinkContext, InftyThinkInput, InftyThinkOutput, Usage
    from inftythink_graph.tool import create_reasoning_tool

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "ChatInftyThink",
    "ChatVLLM",
    "CheckpointError",
    "EmbeddedChatModel",
    "EpochRecord",
    "InftyThinkContext",
    "InftyThinkError",
    "InftyThinkInput",
    "InftyThinkOutput",
    "InvalidInputError",
    "ModelNotServedError",
    "Protocol",
    "ServerUnavailableError",
    "Usage",
    "Verdict",
    "Verifier",
    "WindowTooSmallError",
    "__version__",
    "create_inftythink_graph",
    "create_reasoning_tool",
]

_HOMES = {
    "create_inftythink_graph": "inftythink_graph.graph",
    "create_reasoning_tool": "inftythink_graph.tool",
    "ChatInftyThink": "inftythink_graph.chat_model",
    "ChatVLLM": "inftythink_graph.models",
    "EmbeddedChatModel": "inftythink_graph.models",
    "EpochRecord": "inftythink_graph.state",
    "InftyThinkContext": "inftythink_graph.state",
    "InftyThinkInput": "inftythink_graph.state",
    "InftyThinkOutput": "inftythink_graph.state",
    "Usage": "inftythink_graph.state",
}


def __getattr__(name: str) -> Any:
    # On first use: the text format and the errors must be importable without loading langgraph and a model client.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
