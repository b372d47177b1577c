"""The tokens of a run in the stream mode ``messages``, each with the part that it belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.constants import TAG_NOSTREAM
from langgraph.graph.message import push_message

from inftythink_graph.messages import part_id
from inftythink_graph.nodes.replies import Reply, reasoning_of, text_of
from inftythink_graph.protocol import CUT_REASONS, Content, Part, PartStream

__all__ = ["TokenTap", "is_read", "is_stream", "show", "tapped"]


def is_stream(handler: BaseCallbackHandler) -> bool:
    """Whether a handler makes a stream of the tokens that it sees."""
    # The method is how LangChain itself tells them; their type is private.
    return hasattr(handler, "tap_output_iter")


def is_read(config: RunnableConfig) -> bool:
    """Whether anyone reads the tokens of a run. Where nobody does, an epoch is spared a twentieth of what it costs."""
    callbacks = config.get("callbacks")
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []
    return any(map(is_stream, handlers))


def show(part: Part, text: str, *, key: Content, epoch: int) -> None:
    """Put a piece of text into the stream of messages, if anyone reads it.

    The piece is an ``AIMessageChunk`` with the part as its ``name``. A conclusion is plain text; segments and summaries
    are reasoning blocks, so that whoever prints texts prints the answer alone.
    """
    content: Any = text if part == "conclusion" else [{"type": "reasoning", "reasoning": text, "index": 0}]
    push_message(AIMessageChunk(content=content, id=part_id(key, epoch, part), name=part), state_key=None)


class TokenTap(BaseCallbackHandler):
    """Listens to one model call and passes its tokens on, sorted.

    A model streams by itself as soon as somebody reads the messages of the run, and not otherwise: then nothing comes
    through here, which costs nothing.

    Attributes:
        shown: the parts of which anything was passed on.
        asked: what the call is for.
        epoch: the epoch that it belongs to.
    """

    run_inline = True  # in the order of the tokens, and in the node's own context

    def __init__(self, asked: Part, *, key: Content, epoch: int) -> None:
        self.shown: set[Part] = set()
        self._parts = PartStream(asked)
        self.asked, self.epoch = asked, epoch
        self._key = key

    def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        **kwargs: Any,
    ) -> None:
        """One more piece of the completion."""
        if isinstance(chunk, ChatGenerationChunk) and isinstance(chunk.message, AIMessageChunk):
            self._pass_on(self._parts.feed(text_of(chunk.message), reasoning=reasoning_of(chunk.message)))

    def settled(self, reply: Reply) -> Reply:
        """The call is over: pass on what was held back. Returns the reply with the parts that were passed on."""
        self._pass_on(self._parts.close(cut=reply.finish_reason in CUT_REASONS))
        return replace(reply, shown=tuple(sorted(self.shown)))

    def _pass_on(self, pieces: list[tuple[Part, str]]) -> None:
        for part, text in pieces:
            self.shown.add(part)
            show(part, text, key=self._key, epoch=self.epoch)


def tapped(config: RunnableConfig, tap: TokenTap) -> RunnableConfig:
    """The configuration of a model call whose raw tokens, tags and all, stay out of every stream.

    The tap is there if anyone reads them. Traces see the epoch and the part that the call is for among its metadata.
    """
    about = {"inftythink_epoch": tap.epoch, "inftythink_part": tap.asked}
    tags, metadata = [*(config.get("tags") or []), TAG_NOSTREAM], {**(config.get("metadata") or {}), **about}
    quiet = RunnableConfig(**{**config, "tags": tags, "metadata": metadata})
    return merge_configs(quiet, {"callbacks": [tap]}) if is_read(config) else quiet
