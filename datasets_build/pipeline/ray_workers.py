"""What the workers of a Ray cluster do: cut chains, summarize examples, make rows. Each is a stage of Ray Data.

A worker gets all that it needs with its start: tokenizer, wording, options. It reads no file of the machine that the
build runs on, and writes none anywhere.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from httpx2 import HTTPError
from langchain_core.exceptions import ModelError

from datasets_build.pipeline.build import Cut, finish_example
from datasets_build.pipeline.endpoints import Endpoints
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.overlong import LengthCheck
from datasets_build.pipeline.ray_desk import OWNER, RemoteReplies, enlist
from datasets_build.pipeline.ray_flow import work_through, worked_through
from datasets_build.pipeline.records import Built, Overlong
from datasets_build.pipeline.rows import Rows, row_maker
from datasets_build.pipeline.summarizers import Summarizers, connect
from datasets_build.segmentation.pool import SegmentError, cutter
from datasets_build.segmentation.segment import Segment
from datasets_build.segmentation.sizes import sizer_of
from datasets_build.sources.examples import Example
from datasets_build.summaries.nodes import SummaryUsage
from inftythink_graph.errors import InftyThinkError, InvalidInputError, ServerUnavailableError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Cutter", "Finished", "Kit", "RowMaker", "Summarizer", "Trouble"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a worker can't go on: the error's type and its text. It ends the build."""

    error: type[Exception]
    message: str

    @classmethod
    def of(cls, error: Exception) -> Trouble:
        """Errors of libraries may not survive the way: they become one of this package."""
        ours = isinstance(error, ServerUnavailableError | InvalidInputError)
        kind = InvalidInputError if isinstance(error, InvalidInputError) else type(error) if ours else InftyThinkError
        return cls(kind, str(error) or type(error).__name__)

    def raised(self) -> Exception:
        """The error to raise."""
        return self.error(self.message)


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of an example.

    Attributes:
        key, value: its record for the journal of examples.
        failed: whether it can't be used.
        usage: what its summaries took; None where none were asked for.
    """

    key: str
    value: dict[str, Any]
    failed: bool
    usage: SummaryUsage | None


@dataclass(frozen=True, slots=True)
class Kit:
    """What a worker starts with.

    Attributes:
        options: of the build.
        tokenizer: the target model's, whole: no worker needs its files.
        summarizers: models and wording; the models of servers are made in the worker.
    """

    options: BuildOptions
    tokenizer: PreTrainedTokenizerBase
    summarizers: Summarizers = field(repr=False)

    def unpack(self, desk: Any) -> Kit:
        """Get ready, in a worker of the build that is asked by this desk; None where there is no build."""
        if desk is not None:
            enlist(desk)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the workers are the parallelism
        if self.options.summarizer_used != "vllm":
            return self
        named = replace(self.options, model=self.summarizers.model_name)
        return replace(self, summarizers=replace(self.summarizers, models=connect(named)))


class Cutter:
    """The stage from (key, example) to (key, example, segments)."""

    def __init__(self, kit: Kit, desk: Any = None) -> None:
        kit.unpack(desk)
        self._segments = cutter(kit.options.eta, kit.options.mode, kit.tokenizer)
        self._check = LengthCheck(kit.options, kit.tokenizer)

    def __call__(self, table: pa.Table) -> pa.Table:
        """A block of examples."""
        cut = {number: (key, example, self._cut(example)) for number, (key, example) in work_through(table)}
        return worked_through(table, cut)

    def _cut(self, example: Example) -> list[Segment] | SegmentError | Overlong:
        segments = self._segments((0, example.chain))
        return segments if isinstance(segments, SegmentError) else self._check(example, segments) or segments


class Summarizer:
    """The stage from (key, example, segments) to :class:`Finished`; Ray Data runs many blocks at a time on its loop."""

    def __init__(self, kit: Kit, desk: Any) -> None:
        kit = kit.unpack(desk)
        count = sizer_of(kit.tokenizer).count
        self._endpoints = Endpoints(kit.summarizers.endpoints(kit.options, RemoteReplies(desk), count))

    async def __call__(self, table: pa.Table) -> pa.Table:
        """A block of cut examples."""
        work = dict(work_through(table))
        results = await asyncio.gather(*(self._finish(number, item) for number, item in work.items()))
        return worked_through(table, dict(zip(work, results, strict=True)))

    async def _finish(self, number: int, item: Cut) -> Finished | Trouble:
        OWNER.set(number)
        try:
            outcome, usage = await finish_example(item, self._endpoints)
        except (InftyThinkError, ModelError, HTTPError, OSError) as error:
            return Trouble.of(error)
        return Finished(item[0], outcome.as_json(), not isinstance(outcome, Built), usage)


class RowMaker:
    """The stage from the records of several examples to their :class:`~datasets_build.pipeline.rows.Rows`."""

    def __init__(self, kit: Kit, desk: Any = None) -> None:
        kit = kit.unpack(desk)
        self._make = row_maker(kit.options, kit.tokenizer)

    def __call__(self, table: pa.Table) -> pa.Table:
        """A block of lists of records."""
        made: dict[int, list[Rows]] = {number: list(map(self._make, values)) for number, values in work_through(table)}
        return worked_through(table, made)
