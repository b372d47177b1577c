"""What is kept of an example: its segments and summaries, or why it has none. The journal of examples holds these.

Everything that is written in the end comes from these records, so that a build that was interrupted needs no example
twice, and one that is finished can be written anew without a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from datasets_build.segmentation.segment import Segment
from datasets_build.sources.examples import Example, content_hash
from datasets_build.sources.losses import Reason
from inftythink_graph.errors import InvalidInputError

__all__ = ["CUT", "DEFECTS", "Built", "Failed", "Outcome", "Overlong", "example_key", "read_outcome"]

CUT = "can't be cut"
"""The reason of an example that has no segments."""
DEFECTS: Mapping[str, str] = {
    "truncated": "summary cut off",
    "empty": "summary empty",
    "tags": "summary with tags",
    "over-budget": "summary over budget",
    "not-shorter": "summary not shorter than its segment",
    "window": "request larger than the summarizer's window",
    "transport": "no reply from the summarizer",
}
"""The reasons of examples without summaries, by the summarizer's defect."""


@dataclass(frozen=True, slots=True)
class Built:
    """An example with segments and summaries.

    Attributes:
        example: the example; its chain is what the segments make up.
        segments: of its chain, in order.
        summaries: one fewer than segments.
        attempts: replies that each summary took.
    """

    example: Example
    segments: tuple[Segment, ...]
    summaries: tuple[str, ...]
    attempts: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for the journal."""
        summarized = {"summaries": self.summaries, "attempts": self.attempts}
        return {"built": {**_cut_as_json(self.example, self.segments), **summarized}}


@dataclass(frozen=True, slots=True)
class Failed:
    """An example that can't be trained on.

    Attributes:
        uuid, source: of the example.
        reason: why, as the funnel counts it.
        detail: why, in words.
        segments: number of its segments; 0 where it can't be cut.
        segment: number of the one that has no summary, or whose row is too long, from 1; None where it can't be cut.
    """

    uuid: str
    source: str
    reason: str
    detail: str
    segments: int = 0
    segment: int | None = None

    @property
    def may_succeed(self) -> bool:
        """Whether it failed on the way to a server, so that trying again is all it takes."""
        return self.reason == DEFECTS["transport"]

    def as_json(self) -> dict[str, Any]:
        """Plain values for the journal."""
        return {"failed": asdict(self)}


@dataclass(frozen=True, slots=True)
class Overlong:
    """An example that no summaries were asked for, because one of its rows is too long without them.

    Attributes:
        example, segments: as in :class:`Built`.
        epoch: number of the longest row, from 1.
        tokens: that this row has at least.
        history: turn that holds the summary, in the rows that were measured.
    """

    example: Example
    segments: tuple[Segment, ...]
    epoch: int
    tokens: int
    history: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for the journal."""
        measured = {"epoch": self.epoch, "tokens": self.tokens, "history": self.history}
        return {"overlong": {**_cut_as_json(self.example, self.segments), **measured}}

    def as_failed(self) -> Failed:
        """The same for the list of examples that can't be used."""
        detail = f"epoch {self.epoch}: at least {self.tokens} tokens"
        uuid, source = self.example.uuid, self.example.source
        return Failed(uuid, source, Reason.UNSUMMARIZED.value, detail, len(self.segments), self.epoch)


Outcome: TypeAlias = Built | Failed | Overlong


def _cut_as_json(example: Example, segments: Sequence[Segment]) -> dict[str, Any]:
    """An example with its segments; the chain, which they make up, isn't kept twice."""
    values = {name: value for name, value in asdict(example).items() if name != "chain"}
    return {**values, "segments": [[each.text, each.joint, each.tokens, each.cut] for each in segments]}


def read_outcome(value: Mapping[str, Any]) -> Outcome:
    """The record that ``as_json`` made.

    Raises:
        InvalidInputError: it is something else.
    """
    try:
        if "failed" in value:
            return Failed(**value["failed"])
        parts = dict(value["overlong" if "overlong" in value else "built"])
        segments = tuple(Segment(*each) for each in parts.pop("segments"))
        chain = "".join(each.text + each.joint for each in segments)
        if "overlong" in value:
            measured = {name: parts.pop(name) for name in ("epoch", "tokens", "history")}
            return Overlong(Example(chain=chain, **parts), segments, **measured)
        summaries, attempts = tuple(parts.pop("summaries")), tuple(parts.pop("attempts"))
        return Built(Example(chain=chain, **parts), segments, summaries, attempts)
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidInputError(f"this is no record of an example: {error!r}") from error


def example_key(example: Example) -> str:
    """The key of an example in the journal: its id, and a hash of its text in case the source changes."""
    return f"{example.uuid} {content_hash(example.question, example.chain, example.conclusion, example.system)}"
