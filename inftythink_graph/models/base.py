"""What the graph likes to know of a model, and how it asks. Any LangChain chat model works without any of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from inftythink_graph.errors import CheckpointError
from inftythink_graph.protocol import PROTOCOL_VERSION, Message

__all__ = ["CARD_FILE", "DescribesItself", "ModelCard", "ModelInfo"]

CARD_FILE = "inftythink.json"
"""The file beside a trained model's weights that says how it was trained."""

_INFORM = ("protocol_kind", "tags", "base_model", "data_fingerprint")


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
        protocol_kind: ``native`` where the model was trained on the format; "" where an older version wrote the card.
        tags: ``text`` where the format's tags are plain text to the tokenizer, ``tokens`` where each is one token; ""
            where nothing is known.
        base_model: the model that it was trained from: a name or a folder; "" for one from scratch.
        data_fingerprint: hash over the token ids that it was trained on; "" where nothing is known.

    The last four inform; nothing depends on them. An older card lacks them, and a newer one may hold more: what isn't
    known here is passed over, as long as the text format is the one that this version speaks.
    """

    method: Literal["inftythink", "vanilla"]
    context: int
    eta: int = 0
    summary_budget: int = 0
    history: Literal["user", "assistant"] = "user"
    temperature: float | None = None
    protocol_version: str = "1"
    protocol_kind: Literal["", "native"] = ""
    tags: Literal["", "text", "tokens"] = ""
    base_model: str = ""
    data_fingerprint: str = ""

    @classmethod
    def read(cls, folder: str | Path) -> ModelCard | None:
        """The card in a model's folder; None where there is none.

        Raises:
            CheckpointError: the file is there, but no card, or that of a model with another text format.
        """
        path = Path(folder) / CARD_FILE
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text())
            if not isinstance(content, dict):
                raise ValueError("it must be a JSON object")
            version = content.get("protocol_version", PROTOCOL_VERSION)
            known = {item.name for item in fields(cls)}
            card = cls(**{name: value for name, value in content.items() if name in known})
            card._check()
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is no InftyThink model card: {error}") from error
        if version != PROTOCOL_VERSION:
            raise CheckpointError(
                f"{path} is of a model for version {version!r} of the text format; this version of inftythink-graph"
                f" speaks {PROTOCOL_VERSION!r}"
            )
        return card

    def _check(self) -> None:
        allowed = {"method": ("inftythink", "vanilla"), "history": ("user", "assistant")}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}")
        for name in ("context", "eta", "summary_budget"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}")

    def write(self, folder: str | Path) -> None:
        """Save the card in a model's folder."""
        told = {name: value for name, value in asdict(self).items() if value != "" or name not in _INFORM}
        (Path(folder) / CARD_FILE).write_text(json.dumps(told, indent=2) + "\n")


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
