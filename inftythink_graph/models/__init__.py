"""Chat models that the graph can prefill and measure, and the small model that comes with the package.

Importing this package imports neither torch nor transformers nor vllm.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.models.base import CARD_FILE, DescribesItself, ModelCard, ModelInfo

if TYPE_CHECKING:
    from inftythink_graph.models.embedded import EmbeddedChatModel
    from inftythink_graph.models.vllm import ChatVLLM

__all__ = [
    "CARD_FILE",
    "ChatVLLM",
    "DescribesItself",
    "EmbeddedChatModel",
    "ModelCard",
    "ModelInfo",
    "bundled_path",
    "vanilla_twin_path",
]

_HERE = Path(__file__).parent


def bundled_path() -> Path:
    """The folder of the bundled model: thinks in segments of up to 104 tokens within a window of 256."""
    return _HERE / "bundled"


def vanilla_twin_path() -> Path:
    """The folder of its vanilla twin: same size, same chains, thinks in one chain within a window of 1024 tokens."""
    return _HERE / "vanilla_twin"


def __getattr__(name: str) -> Any:
    # Looked up on first use: each of the two pulls in a client library that the other doesn't need.
    if name == "ChatVLLM":
        from inftythink_graph.models.vllm import ChatVLLM

        return ChatVLLM
    if name == "EmbeddedChatModel":
        from inftythink_graph.models.embedded import EmbeddedChatModel

        return EmbeddedChatModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
