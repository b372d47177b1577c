"""The engine for more than one machine: the stages of a build on Ray Data, journals and files on this machine.

Reading stays here, in a thread. Cutting, summarizing and the making of rows run on the cluster. Replies come back
before they are used and are kept here, so this engine and the local one may take turns in one output folder.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, islice
from math import ceil
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.progress import BuildView
from datasets_build.pipeline.records import example_key
from datasets_build.pipeline.rows import Rows
from datasets_build.pipeline.summarizers import EXTRACTS_AT_A_TIME, Summarizers
from datasets_build.sources.examples import Example
from datasets_build.summaries.request_cache import RequestCache
from inftythink_graph.errors import InvalidInputError

# Read when ray is first imported. A cluster that is there already has its own settings.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters is raised
try:
    import ray
    import ray.data
    from ray import cloudpickle
    from ray.data import ActorPoolStrategy, DataContext, Dataset
except ImportError as error:
    raise InvalidInputError(f"engine 'ray' needs ray: pip install 'inftythink-graph[ray]' ({error})") from error

from datasets_build.pipeline.ray_claims import Claims
from datasets_build.pipeline.ray_flow import flow
from datasets_build.pipeline.ray_workers import Cutter, Kit, RowMaker, Summarizer, Trouble

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from datasets_build.pipeline.build import Run

__all__ = ["RayEngine"]

_TOGETHER = 16  # examples whose rows are made together
_SHARE = 0.5  # of a processor, for each of a worker's two halves: cutting and summarizing
_LOOPBACK = "127.0.0.1"
_KNOCK = 10.0  # seconds


class RayEngine:
    """A Ray for one build: the one that this process is connected to, a cluster, or a local one of its own.

    Args:
        options: of the build.
        tokenizer: the target model's.
        summarizers: who writes the summaries.

    Raises:
        InvalidInputError: the cluster can't be reached or has no processor, or a model can't be sent to workers.
    """

    def __init__(self, options: BuildOptions, tokenizer: PreTrainedTokenizerBase, summarizers: Summarizers) -> None:
        self._options = options
        if options.summarizer_used == "vllm":
            key = options.api_key or os.environ.get("VLLM_API_KEY") or os.environ.get("OPENAI_API_KEY")
            self._kit = Kit(replace(options, api_key=key), tokenizer, replace(summarizers, models=()))
        else:
            self._kit = Kit(options, tokenizer, summarizers)
        try:
            cloudpickle.dumps(self._kit)
        except (TypeError, AttributeError, ValueError) as error:  # what pickling says of locks, clients and the like
            raise InvalidInputError(
                f"this model can't be sent to the workers of Ray ({error}): name its server as base_url instead"
            ) from error
        self._ours = False

    def __enter__(self) -> Self:
        if not ray.is_initialized():
            with _own_signals():
                self._connect()
            self._ours = True
        processors = int(ray.cluster_resources().get("CPU", 0))
        if not processors:
            self._disconnect()
            raise InvalidInputError("the Ray cluster has no processor (CPU) for workers: add a machine that has")
        self._workers = min(self._options.processes, processors)
        return self

    def _connect(self) -> None:
        address = self._options.ray_address or os.environ.get("RAY_ADDRESS")
        if address and address.startswith("ray://"):
            raise InvalidInputError(
                f"{address} is for Ray clients: run the build on a machine of the cluster, with --ray-address auto"
            )
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if not address or address == "local":
            own: dict[str, Any] = {"num_cpus": self._options.processes, "include_dashboard": False}
            ray.init("local", _node_ip_address=_LOOPBACK, **own, **quiet)
            return
        try:
            if address != "auto":  # ray itself would go on trying for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=_KNOCK).close()
            ray.init(address, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidInputError(f"no Ray cluster at {address}: {' '.join(str(error).split())[:200]}") from error

    def _disconnect(self) -> None:
        if self._ours:
            ray.shutdown()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    # The stages

    def _pool(self, size: int, at_a_time: int = 1) -> ActorPoolStrategy:
        return ActorPoolStrategy(
            size=size, max_tasks_in_flight_per_actor=at_a_time + 1, max_concurrent_calls_per_actor=at_a_time
        )

    def _summaries(self, dataset: Dataset, desk: Any) -> Dataset:
        blocks: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow", "num_cpus": _SHARE}
        cut = dataset.map_batches(
            Cutter, fn_constructor_args=(self._kit, desk), compute=self._pool(self._workers), **blocks
        )
        size = min(self._workers, self._options.concurrency)
        each = ceil(self._options.concurrency / size)
        if self._options.summarizer_used == "extractive":
            each = min(each, EXTRACTS_AT_A_TIME)
        return cut.map_batches(
            Summarizer, fn_constructor_args=(self._kit, desk), compute=self._pool(size, each), **blocks
        )

    def _rows(self, dataset: Dataset, desk: Any) -> Dataset:
        return dataset.map_batches(
            RowMaker, fn_constructor_args=(self._kit, desk), compute=self._pool(self._workers), num_cpus=1,
            batch_size=None, batch_format="pyarrow",
        )  # fmt: skip

    def run(self, run: Run, examples: Iterator[Example], replies: RequestCache, view: BuildView) -> None:
        """Finish every example of the source.

        Raises:
            ServerUnavailableError: several examples in a row got no reply.
            JournalWriteError: a reply or a record could not be kept.
        """
        concurrency = self._options.concurrency
        results = flow(
            _unfinished(examples, run),
            self._summaries,
            limit=2 * (concurrency + self._workers),
            calls=lambda: Claims(replies, concurrency).calls,
            tick=lambda: view.update(run.counts),
            stop=run.stop.set,
        )
        with _quiet(), closing(results):
            for result in results:
                if isinstance(result, Trouble):
                    raise result.raised()
                run.keep(result.key, result.value, failed=result.failed, usage=result.usage)

    def rows(self, records: Iterator[dict[str, Any]]) -> Generator[Rows, None, None]:
        """The rows of the examples, in their order."""
        made = flow(_batches(records), self._rows, limit=4 * self._workers, ordered=True)
        with _quiet(), closing(made):
            yield from chain.from_iterable(made)


def _unfinished(examples: Iterator[Example], run: Run) -> Iterator[tuple[str, Example]]:
    for example in examples:
        if run.stop.is_set():
            return
        key = example_key(example)
        if not run.seen(key):
            yield key, example


def _batches(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(records, _TOGETHER)):
        yield batch


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts its own handler in the place of whoever calls: a signal would end this process, not the build."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Data with blocks of one item each, and without bars and reports of its own."""
    context = DataContext.get_current()
    ours: dict[str, Any] = {
        "target_max_block_size": 1,  # bytes: every item is a block of its own, and goes on at once
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "enable_auto_log_stats": False,
        "execution_no_progress_timeout_s": -1,  # a server may be slow; requests have timeouts of their own
    }
    before = {name: getattr(context, name) for name in ours}
    for name, value in ours.items():
        setattr(context, name, value)
    shown = [each for each in logging.getLogger("ray.data").handlers if type(each).__name__ == "PlainRayHandler"]
    levels = [each.level for each in shown]
    for handler in shown:
        handler.setLevel(logging.CRITICAL)  # errors are raised; all of it is in Ray's own log files
    try:
        with warnings.catch_warnings():
            # Of a source that is smaller than the pool: nothing to be warned of.
            warnings.filterwarnings("ignore", message="The minimum number of concurrent actors")
            yield
    finally:
        for handler, level in zip(shown, levels, strict=True):
            handler.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)
