"""What the graph likes to know of a model, and how it asks. Any LangChain chat model works without any of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from inftythink_graph.errors import CheckpointError
from inftythink_graph.protocol import Message

__all__ = ["CARD_FILE", "DescribesItself", "ModelCard", "ModelInfo"]

CARD_FILE = "inftythink.json"
"""The file beside a trained model's weights that says how it was trained."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """How a model was trained, from its ``inftythink.json``; a trained model needs no flags to be used right.

    Attributes:
        method: ``inftythink``, or ``vanilla`` for a baseline that thinks in one chain.
        context: the context window that it was trained in, in tokens.
        eta: most tokens of a segment; 0 for vanilla.
        summary_budget: most tokens of a summary; 0 for vanilla.
        history: the turn that holds the last summary.
        temperature: sampling temperature that suits the model; None where nothing is known.
        protocol_version: version of the text format.
    """

    method: Literal["inftythink", "vanilla"]
    context: int
    eta: int = 0
    summary_budget: int = 0
    history: Literal["user", "assistant"] = "user"
    temperature: float | None = None
    protocol_version: str = "1"

    @classmethod
    def read(cls, folder: str | Path) -> ModelCard | None:
        """The card in a model's folder; None where there is none.

        Raises:
            CheckpointError: the file is there, but no card.
        """
        path = Path(folder) / CARD_FILE
        if not path.is_file():
            return None
        try:
            return cls(**json.loads(path.read_text()))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is no InftyThink model card: {error}") from error

    def write(self, folder: str | Path) -> None:
        """Save the card in a model's folder."""
        (Path(folder) / CARD_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model.

    Attributes:
        window: its context window in tokens; None if unknown.
        prefill: it can continue an assistant message that was begun for it.
        card: how it was trained, if it was trained for InftyThink.
    """

    window: int | None = None
    prefill: bool = False
    card: ModelCard | None = None


@runtime_checkable
class DescribesItself(Protocol):
    """The part of a chat model that answers for its window. ``ChatVLLM`` and ``EmbeddedChatModel`` have it.

    ``describe`` may ask a server the first time and remembers the answer; ``count_prompt_tokens`` counts a rendered
    prompt, template included. Each has an asynchronous twin.
    """

    def describe(self) -> ModelInfo: ...

    async def adescribe(self) -> ModelInfo: ...

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int: ...

    async def acount_prompt_tokens(self, messages: Sequence[Message]) -> int: ...
