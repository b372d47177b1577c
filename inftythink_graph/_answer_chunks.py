"""From what a run streams to the chunks of one message: reasoning while it thinks, then the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from inftythink_graph._answer_text import StopAt
from inftythink_graph.events import EpochStarted, Event, RunEnded, SegmentDone, SummaryDone
from inftythink_graph.nodes.replies import reasoning_of, text_of
from inftythink_graph.status import Status

__all__ = ["AnswerChunks", "FinishReason", "finish_reason"]

FinishReason: TypeAlias = Literal["stop", "tool_calls", "length"]
Block: TypeAlias = tuple[str, int]


def finish_reason(status: Status, tool_calls: Sequence[Any]) -> FinishReason:
    """What LangChain's users know a run's end by: ``length`` wherever it ended without an accepted answer."""
    if status != "answered":
        return "length"
    return "tool_calls" if tool_calls else "stop"


@dataclass(slots=True)
class AnswerChunks:
    """Turns the items of ``graph.stream(..., stream_mode=[...])`` into chunks of one message.

    It needs the modes ``custom`` and ``values``. With ``messages`` as well, segments and conclusion come token by
    token.

    Attributes:
        reasoning: segments and summaries become reasoning blocks, each with an index of its own. Without them the
            message's content is a string.
        live: a conclusion is passed on while it is written. Otherwise it comes as a whole, once it is settled.
        stop: sequences that end the answer.
        metadata: what goes into ``response_metadata`` beside the status, the epochs and the finish reason.
    """

    reasoning: bool
    live: bool
    stop: Sequence[str]
    metadata: Mapping[str, Any]
    _blocks: int = field(default=0, init=False)
    _block: Block | None = field(default=None, init=False)
    _epoch: int = field(default=0, init=False)
    _segment: str = field(default="", init=False)
    _answer: str = field(default="", init=False)
    _stop: StopAt = field(default_factory=StopAt, init=False)
    _result: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._stop = StopAt(self.stop)

    def feed(self, item: tuple[str, Any]) -> list[AIMessageChunk]:
        """The chunks that one item of the stream gives."""
        mode, payload = item
        if mode == "messages":
            return self._token(payload[0])
        if mode == "custom":
            return self._event(payload)
        self._result = payload
        return []

    def close(self) -> list[AIMessageChunk]:
        """The run is over: tool calls, usage, metadata."""
        message = self._result["messages"][-1]
        assert isinstance(message, AIMessage)
        chunks = [self._calls(message)] if message.tool_calls else []
        status: Status = self._result["status"]
        last = AIMessageChunk(
            content=self._content([]),
            usage_metadata=message.usage_metadata,
            response_metadata={
                **self.metadata,
                "status": status,
                "epochs": self._result["epochs"],
                "finish_reason": finish_reason(status, message.tool_calls),
            },
            chunk_position="last",
        )
        return [*chunks, last]

    def _token(self, chunk: Any) -> list[AIMessageChunk]:
        if not isinstance(chunk, AIMessageChunk):
            return []
        if chunk.name == "segment":
            text = reasoning_of(chunk)
            self._segment += text
            return self._think("segment", text)
        if chunk.name == "conclusion" and self.live:
            return self._say(text_of(chunk))
        return []  # a summary is shown once it is settled

    def _event(self, event: Event) -> list[AIMessageChunk]:
        if event["event"] == "epoch_started":
            return self._started(event)
        if event["event"] == "segment_done":
            return self._thought(event)
        if event["event"] == "summary_done":
            return self._summed_up(event)
        if event["event"] == "run_ended":
            return self._concluded(event)
        return []

    def _started(self, event: EpochStarted) -> list[AIMessageChunk]:
        self._epoch, self._segment = event["epoch"], ""
        return []

    def _thought(self, event: SegmentDone) -> list[AIMessageChunk]:
        if event["kind"] != "conclusion" and self._answer:
            return self._taken_back()  # it counts as reasoning now, and has been shown
        shown, segment = self._segment, event["segment"]
        # A completion out of the format may be read differently as a whole: it stays as it was written.
        return self._think("segment", segment[len(shown) :]) if segment.startswith(shown) else []

    def _summed_up(self, event: SummaryDone) -> list[AIMessageChunk]:
        return self._think("summary", event["summary"])

    def _concluded(self, event: RunEnded) -> list[AIMessageChunk]:
        conclusion = event["conclusion"]
        chunks = [] if conclusion.startswith(self._answer) else self._taken_back()
        chunks += self._say(conclusion[len(self._answer) :])
        return [*chunks, *self._text(self._stop.close())]

    def _taken_back(self) -> list[AIMessageChunk]:
        """What was said live is no answer after all: close its block, and mark it."""
        if not self._answer:
            return []
        chunks = self._text("\n\n", superseded=True)
        self._answer, self._stop, self._block = "", StopAt(self.stop), None
        return chunks

    def _say(self, text: str) -> list[AIMessageChunk]:
        self._answer += text
        return self._text(self._stop.feed(text))

    def _think(self, part: str, text: str) -> list[AIMessageChunk]:
        if not self.reasoning or not text:
            return []
        new = self._enter((part, self._epoch))
        block: dict[str, Any] = {"type": "reasoning", "reasoning": text, "index": self._blocks - 1}
        if new:
            block["extras"] = {"part": part, "epoch": self._epoch}
        return [AIMessageChunk(content=[block])]

    def _text(self, text: str, *, superseded: bool = False) -> list[AIMessageChunk]:
        if not text:
            return []
        self._enter(("conclusion", 0))
        if not self.reasoning:
            return [AIMessageChunk(content=text)]
        block: dict[str, Any] = {"type": "text", "text": text, "index": self._blocks - 1}
        if superseded:
            block["extras"] = {"superseded": True}
        return [AIMessageChunk(content=[block])]

    def _enter(self, block: Block) -> bool:
        """Begin a block, unless it is the one that was begun last."""
        if block == self._block:
            return False
        self._block = block
        self._blocks += 1
        return True

    def _calls(self, message: AIMessage) -> AIMessageChunk:
        calls = [
            tool_call_chunk(
                name=call["name"], args=json.dumps(call["args"], ensure_ascii=False), id=call["id"], index=at
            )
            for at, call in enumerate(message.tool_calls, self._blocks)
        ]
        return AIMessageChunk(content=self._content([]), tool_call_chunks=calls)

    def _content(self, blocks: list[Any]) -> Any:
        return blocks if self.reasoning else ""
