"""Many questions thought through at a time: nothing lost, nothing thought twice, no question waiting for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.graph import create_inftythink_graph
from inftythink_graph.path_state import SEED_STRIDE
from inftythink_graph.protocol import Protocol
from inftythink_graph.runner.endpoints import Endpoint, EndpointPool
from inftythink_graph.runner.faults import Fault, concerns_question
from inftythink_graph.runner.inputs import Item, check_file, items_of, read_items
from inftythink_graph.runner.observers import Observer
from inftythink_graph.runner.output import RunOutput
from inftythink_graph.runner.routed import RecordedReply, RoutedChatModel, Session
from inftythink_graph.runner.tally import Tally
from inftythink_graph.state import InftyThinkContext

if TYPE_CHECKING:
    from inftythink_graph.graph import InftyThinkGraph

__all__ = ["arun_many", "run_many"]

_FIELDS = ("answer", "conclusion", "status", "epochs", "summary", "usage", "trace", "verifier_usage")


class _Run:
    """One start of a run."""

    def __init__(
        self,
        graph: InftyThinkGraph,
        pool: EndpointPool,
        output: RunOutput,
        observers: Sequence[Observer],
        tally: Tally,
        seed: int,
    ) -> None:
        self._graph, self._pool, self._output = graph, pool, output
        self._observers, self.tally, self._seed = observers, tally, seed

    async def work(self, items: Iterator[Item]) -> None:
        """Think items through, one after the other, until there are none left."""
        for item in items:
            if item.index in self._output:
                continue
            for observer in self._observers:
                observer.started()
            result = await self._think(item)
            self._output.add(item.index, result)
            self.tally.count_result(result)
            for observer in self._observers:
                observer.finished({"index": item.index, **result})

    async def _think(self, item: Item) -> dict[str, Any]:
        earlier = self._output.replies_to(item.index)
        self.tally.replayed += len(earlier)
        number = len(earlier)

        def on_reply(reply: RecordedReply) -> None:
            nonlocal number
            self._output.add_reply(item.index, number, reply)
            number += 1
            usage = reply["message"].get("usage_metadata")
            self.tally.count_reply(usage)
            for observer in self._observers:
                observer.replied(usage)

        def on_fault(endpoint: Endpoint, fault: Fault) -> None:
            self.tally.faults[fault] += 1
            for observer in self._observers:
                observer.met_fault(endpoint, fault)

        def on_answer(endpoint: Endpoint, seconds: float) -> None:
            self.tally.by_endpoint[endpoint.name] += 1
            for observer in self._observers:
                observer.answered(endpoint, seconds)

        session = Session(self._pool, replies=earlier, on_reply=on_reply, on_fault=on_fault, on_answer=on_answer)
        known = {"id": item.id, **item.input} if item.id is not None else dict(item.input)
        asked: Any = item.input
        context = InftyThinkContext(seed=self._seed + item.index * SEED_STRIDE)
        with session.active():
            try:
                result: Any = await self._graph.ainvoke(asked, context=context)
            except Exception as error:
                if not concerns_question(error):
                    raise
                return {**known, "answer": None, "status": "failed", "error": one_line(error)}
        return {**known, **{name: result[name] for name in _FIELDS if name in result}}


def _impatient(model: BaseChatModel) -> BaseChatModel:
    """The same model with a client that tries nothing again by itself: here it is counted, and paced for all."""
    client = getattr(model, "root_async_client", None)
    if client is None:
        return model
    client = client.with_options(max_retries=0)
    return model.model_copy(update={"root_async_client": client, "async_client": client.chat.completions})


def _pool(
    models: BaseChatModel | Sequence[BaseChatModel], concurrency: int, give_up_after: float | None
) -> EndpointPool:
    given = [models] if isinstance(models, BaseChatModel) else models
    return EndpointPool(map(_impatient, given), most=concurrency, give_up_after=give_up_after)


def _told(value: Any) -> Any:
    """An option as it is written down: the same at every start."""
    if isinstance(value, Protocol):
        return asdict(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return getattr(value, "__qualname__", type(value).__qualname__)


async def arun_many(
    questions: str | Path | Iterable[Any],
    output: str | Path,
    models: BaseChatModel | Sequence[BaseChatModel],
    *,
    concurrency: int = 256,
    seed: int = 0,
    traces: bool = False,
    give_up_after: float | None = 1800.0,
    observers: Sequence[Observer] = (),
    protocol: Protocol | None = None,
    **options: Any,
) -> Tally:
    """Think many questions through and write each result to a file as soon as it is there.

    The file gets a line for each question, in the order in which they are finished: ``index`` (its place in the input),
    ``id`` where it has one, the question, and the fields of
    :class:`~inftythink_graph.state.InftyThinkOutput`. Run again with the same arguments, it goes on where it was,
    within a question as well: replies that a server gave before are not asked for again.

    Overloaded servers are sent less, broken connections are made again, and a server that is away is left to the others
    until it is back; no question fails by any of it. A question that can't be asked, because it is empty or the
    model's window can't hold it, gets the status ``failed`` and an ``error``.

    Args:
        questions: a file of JSON lines with ``question``, ``problem``, ``prompt`` or ``messages``, and ``id`` if there
            is one; or an iterable of texts or of such mappings, which is read as questions are needed.
        output: the file of results.
        models: a chat model for each server, all serving the same weights; or one that is in this process.
        concurrency: most questions under way at a time.
        seed: of the first question's sampling; those of the others lie a million apart, so that a result depends
            neither on the order nor on what else is run.
        traces: keep the text of all epochs in the results.
        give_up_after: seconds without an answer from any server after which the run ends; None for never.
        observers: are told what happens (:class:`~inftythink_graph.runner.observers.Observer`).
        protocol: as for :func:`~inftythink_graph.graph.create_inftythink_graph`.
        options: further options of that function: ``max_epochs``, ``eta``, ``temperature``, ``verifier``, ...

    Returns:
        What this start came to.

    Raises:
        InvalidInputError: an argument is outside what is allowed, the input has a line that is no question, or the
            output is that of another run.
        NoServerLeftError: no server has answered for ``give_up_after`` seconds; all that was thought is kept.
        JournalBusyError: another process writes the output.
        JournalWriteError: the disk is full; all that was written before is kept.
    """
    if concurrency < 1:
        raise InvalidInputError(f"concurrency must be at least 1, got {concurrency}")
    if give_up_after is not None and give_up_after <= 0:
        raise InvalidInputError(f"give_up_after must be above 0 seconds or None, got {give_up_after}")
    if options.get("num_paths", 1) != 1:
        raise InvalidInputError("a run of many questions thinks each on one path; allowed: num_paths=1")
    pool = _pool(models, concurrency, give_up_after)
    model = RoutedChatModel(pool=pool)
    graph = create_inftythink_graph(model, protocol=protocol, keep_trace=traces, **options)
    depends_on = {"model": model.model_name, "seed": seed, "traces": traces}
    depends_on |= {name: _told(value) for name, value in {"protocol": protocol, **options}.items()}
    start = time.monotonic()
    tally = Tally()
    await model.adescribe()  # here once: all workers at a time would each ask all servers
    try:
        with RunOutput(output, depends_on) as results:
            items = _items(questions, results, tally)
            tally.kept = results.kept
            run = _Run(graph, pool, results, observers, tally, seed)
            for observer in observers:
                observer.begin(tally, pool)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(concurrency):
                        group.create_task(run.work(items))
            except BaseExceptionGroup as errors:
                # The first one says what is wrong; the others were under way and met the same, or were cancelled.
                raise errors.exceptions[0] from errors
            finally:
                tally.seconds = time.monotonic() - start
                for observer in observers:
                    observer.end()
            results.close(complete=True)
    finally:
        await pool.close()
    return tally


def _items(questions: str | Path | Iterable[Any], results: RunOutput, tally: Tally) -> Iterator[Item]:
    """The questions, and what is known of them before any is asked."""
    if not isinstance(questions, str | Path):
        results.begin(None)
        tally.total = len(questions) if isinstance(questions, Sequence) else None
        return items_of(questions)
    path = Path(questions)
    known = check_file(path, results.input)
    results.begin(known)
    tally.total = known.questions
    return read_items(path)


def run_many(questions: str | Path | Iterable[Any], output: str | Path, models: Any, **options: Any) -> Tally:
    """As :func:`arun_many`, from where no event loop runs."""
    return asyncio.run(arun_many(questions, output, models, **options))
