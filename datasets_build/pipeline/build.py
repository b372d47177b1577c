"""The build: read -> cut -> summarize -> rows -> files. What is finished is journalled, so nothing is done twice.

Reading and cutting run in a thread (and its processes), summaries on an event loop, many examples at a time. Between
them is a short queue: memory holds a few examples for each that is under way, whatever the size of the source. Rows
are written at the end, in the order of the source, from the journal of examples alone; so a build that was killed any
number of times writes what an undisturbed one writes.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.language_models import BaseChatModel

from datasets_build.pipeline.endpoints import Endpoints
from datasets_build.pipeline.folder import BuildFolder
from datasets_build.pipeline.key_spool import KeySpool
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.output import write_output
from datasets_build.pipeline.overlong import LengthCheck, stays_out
from datasets_build.pipeline.progress import BuildCounts, BuildView
from datasets_build.pipeline.records import CUT, DEFECTS, Built, Failed, Outcome, Overlong, example_key, read_outcome
from datasets_build.pipeline.report import BuildReport
from datasets_build.pipeline.row_counts import known_rows
from datasets_build.pipeline.rows import load_tokenizer
from datasets_build.pipeline.summarizers import EXTRACTS_AT_A_TIME, Summarizers, choose_summarizers
from datasets_build.segmentation.pool import SegmentError, segment_chains
from datasets_build.segmentation.segment import Segment
from datasets_build.segmentation.sizes import sizer_of
from datasets_build.sources.examples import Example
from datasets_build.sources.load import read_examples
from datasets_build.summaries.nodes import SummarizerInput, SummaryUsage
from datasets_build.summaries.request_cache import RequestCache
from inftythink_graph.journal import Journal
from inftythink_graph.protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from datasets_build.pipeline.ray_engine import RayEngine

__all__ = ["BuildResult", "Run", "build_dataset", "cut_examples", "finish_example", "run_all"]

_LOOK_EVERY = 0.5  # seconds between two looks at the counts
_PROBE = "Wait, let me check: 3.14 * x^2 = \\frac{a}{b}.\n\n因此我们得到 5。"

_SEGMENT = re.compile(r"segment (\d+) of ")

Cut: TypeAlias = tuple[str, Example, list[Segment] | SegmentError | Overlong]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """How a build ended.

    Attributes:
        report: funnel, figures and cost.
        unanswered: examples that got no reply from a server; the same call tries them again.
    """

    report: BuildReport
    unanswered: int

    @property
    def complete(self) -> bool:
        """Whether every example came to its end."""
        return self.unanswered == 0


def cut_examples(
    examples: Iterator[Example],
    options: BuildOptions,
    *,
    seen: Callable[[str], bool],
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Cut, None, None]:
    """(key, example, segments) of the examples that aren't finished, in their order, a few read ahead.

    In place of the segments stands why there are none, or why the example must be left out for its length.

    Args:
        examples: the examples.
        options: eta, tokenizer, mode, processes, and what is too long.
        seen: told of every example's key; says whether it is finished.
        stopped: whether to read no further.

    Raises:
        InftyThinkError: a worker process was ended from outside.
    """
    waiting: deque[tuple[str, Example]] = deque()

    def chains() -> Iterator[str]:
        for example in examples:
            if stopped():
                return
            key = example_key(example)
            if not seen(key):
                waiting.append((key, example))
                yield example.chain

    cut = segment_chains(chains(), options.eta, options.tokenizer, mode=options.mode, processes=options.processes)
    check = LengthCheck(options)
    with closing(cut):  # ends its processes
        for segments in cut:
            key, example = waiting.popleft()
            overlong = None if isinstance(segments, SegmentError) else check(example, segments)
            yield key, example, overlong or segments


async def run_all(
    items: Generator[Any, None, None],
    work: Callable[[Any], Coroutine[Any, Any, None]],
    *,
    concurrency: int,
    ahead: int,
) -> None:
    """Work on items from a blocking generator, ``concurrency`` at a time and ``ahead`` more waiting.

    The first exception, of the generator or of the work, ends it all and is raised; the generator is closed by then.
    """
    queue: asyncio.Queue[Any] = asyncio.Queue(ahead)
    loop, end = asyncio.get_running_loop(), object()
    reader = ThreadPoolExecutor(1, thread_name_prefix="reader")

    async def produce() -> None:
        while (item := await loop.run_in_executor(reader, next, items, end)) is not end:
            await queue.put(item)
        for _ in range(concurrency):
            await queue.put(end)

    async def consume() -> None:
        while (item := await queue.get()) is not end:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            for _ in range(concurrency):
                group.create_task(consume())
    except BaseExceptionGroup as failed:
        first: BaseException = failed
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    finally:
        reader.shutdown(cancel_futures=True)
        items.close()


async def finish_example(item: Cut, endpoints: Endpoints) -> tuple[Outcome, SummaryUsage | None]:
    """Summarize one example: what came of it, and what it took.

    Raises:
        ServerUnavailableError: several examples in a row got no reply.
    """
    _, example, segments = item
    if isinstance(segments, SegmentError):
        return Failed(example.uuid, example.source, CUT, segments.reason), None
    if isinstance(segments, Overlong):
        return segments, None
    asked = SummarizerInput(question=example.question, segments=[each.text for each in segments], system=example.system)
    output = await endpoints.run(asked)
    if output["defect"] is None:
        return Built(example, tuple(segments), tuple(output["summaries"]), tuple(output["attempts"])), output["usage"]
    number = int(found[1]) if (found := _SEGMENT.match(output["reason"])) else None
    reason = DEFECTS[output["defect"]]
    return Failed(example.uuid, example.source, reason, output["reason"], len(segments), number), output["usage"]


class Run:
    """The examples of one run, from the source to the journal."""

    def __init__(self, options: BuildOptions, examples: Journal, endpoints: Endpoints, counts: BuildCounts) -> None:
        self.options, self.journal, self.endpoints, self.counts = options, examples, endpoints, counts
        self.order = KeySpool()
        self.stop = threading.Event()

    def seen(self, key: str) -> bool:
        """Note an example in the order of the source; whether it is finished."""
        self.order.add(key)
        finished = key in self.journal and not self._again(key)
        if finished:
            self.counts.kept += 1
        else:
            self.counts.begin()
        return finished

    def _again(self, key: str) -> bool:
        outcome = read_outcome(self.journal.get(key))
        if isinstance(outcome, Built):
            return False
        if isinstance(outcome, Overlong):
            return not stays_out(outcome, self.options)
        return outcome.may_succeed or (self.options.retry_failed and outcome.reason != CUT)

    async def finish(self, item: Cut) -> None:
        """Summarize one example and keep what came of it."""
        outcome, usage = await finish_example(item, self.endpoints)
        self.keep(item[0], outcome.as_json(), failed=not isinstance(outcome, Built), usage=usage)

    def keep(self, key: str, value: dict[str, Any], *, failed: bool, usage: SummaryUsage | None) -> None:
        """Keep what came of an example."""
        self.journal.append(key, value)
        self.counts.finish(failed=failed, usage=usage)

    async def go(self, examples: Iterator[Example], view: BuildView) -> None:
        """Finish every example of the source."""
        extracts = self.options.summarizer_used == "extractive"
        concurrency = min(self.options.concurrency, EXTRACTS_AT_A_TIME) if extracts else self.options.concurrency
        items = cut_examples(examples, self.options, seen=self.seen, stopped=self.stop.is_set)
        looking = asyncio.create_task(_look(view, self.counts))
        try:
            await run_all(items, self.finish, concurrency=concurrency, ahead=concurrency)
        finally:
            self.stop.set()
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


async def _look(view: BuildView, counts: BuildCounts) -> None:
    while True:
        view.update(counts)
        await asyncio.sleep(_LOOK_EVERY)


def _identity(options: BuildOptions, summarizers: Summarizers, tokenizer: Any) -> dict[str, Any]:
    """What finished examples depend on beside the options."""
    return {
        "protocol": PROTOCOL_VERSION,
        "prompt_version": summarizers.prompt.identity if summarizers.prompt else "",
        "summarizer_model": summarizers.model_name,
        "tokenizer_probe": [len(tokenizer), *tokenizer(_PROBE, add_special_tokens=False)["input_ids"]],
    }


def build_dataset(
    options: BuildOptions,
    *,
    model: BaseChatModel | Sequence[BaseChatModel] | None = None,
    view: BuildView | None = None,
) -> BuildResult:
    """Build a data set, or go on with one in the same output folder.

    Args:
        options: what to build.
        model: the summarizer, any LangChain chat model, in place of ``base_url``; several share the examples.
        view: shows the progress; None writes to the standard error.

    Raises:
        InvalidInputError: the options, the source, the tokenizer or the output folder can't be used, or another
            configuration was used there before.
        ServerUnavailableError: a server doesn't answer, or no longer does.
        JournalBusyError: another build writes there.
        JournalWriteError, OSError: the disk is full, for example.

    After any exception, and after any kill, the same call goes on where this one ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _build(options, model, view or BuildView())
    with ThreadPoolExecutor(1) as apart:  # a notebook has a loop of its own
        return apart.submit(_build, options, model, view or BuildView()).result()


def _ray(
    options: BuildOptions, tokenizer: PreTrainedTokenizerBase, summarizers: Summarizers
) -> AbstractContextManager[RayEngine | None]:
    """The engine for more than one machine, where it is asked for."""
    if options.engine == "local":
        return nullcontext()
    from datasets_build.pipeline.ray_engine import RayEngine

    return RayEngine(options, tokenizer, summarizers)


def _build(
    options: BuildOptions, model: BaseChatModel | Sequence[BaseChatModel] | None, view: BuildView
) -> BuildResult:
    if model is not None:
        options = replace(options, summarizer=options.summarizer or "chat_model")
    folder, counts = BuildFolder(options.output), BuildCounts()
    folder.check()
    # What can be wrong is found out before anything is written.
    tokenizer = load_tokenizer(options.tokenizer)
    examples = read_examples(options.source_options(), counts.funnel)
    summarizers = choose_summarizers(options, model)
    counts.total_rows = known_rows(options.source_options())
    with (
        _ray(options, tokenizer, summarizers) as engine,
        Journal(folder.examples) as outcomes,
        Journal(folder.requests) as replies,
    ):
        for change in folder.agree(options.as_config(), _identity(options, summarizers, tokenizer)):
            view.say(f"changed since the last run: {change}; all rows are written anew")
        cache = RequestCache(replies)
        endpoints = Endpoints(summarizers.endpoints(options, cache, sizer_of(tokenizer).count))
        run = Run(options, outcomes, endpoints, counts)
        view.start(counts)
        try:
            if engine is None:
                asyncio.run(run.go(examples, view))
            else:
                engine.run(run, examples, cache, view)
        finally:
            view.stop(counts)
        make_rows = None if engine is None else engine.rows
        report = write_output(options, folder, run.order, outcomes, counts.funnel, summarizers, view, make_rows)
    unanswered = report.funnel.lost("examples", DEFECTS["transport"])
    return BuildResult(report, unanswered)
