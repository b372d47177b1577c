"""Segmentation of many chains over several processes: in order, streaming, with a bounded number under way."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from datasets_build.segmentation.segment import Mode, Segment, check_options, segment_chain
from datasets_build.segmentation.sizes import sizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SegmentError", "segment_chains"]

_AHEAD = 4


@dataclass(frozen=True, slots=True)
class SegmentError:
    """A chain that can't be cut.

    Attributes:
        index: its place in the input, from 0.
        reason: what was wrong with it.
    """

    index: int
    reason: str


def _load(name_or_path: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    sizer_of(tokenizer)
    return tokenizer


_tokenizer: PreTrainedTokenizerBase | None = None


def _start_worker(name_or_path: str) -> None:
    """Load the tokenizer once for all chains of this process."""
    global _tokenizer
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread each: the processes are the parallelism
    _tokenizer = _load(name_or_path)


def _segment(
    index: int, chain: str, eta: int, mode: Mode, tokenizer: PreTrainedTokenizerBase | None = None
) -> list[Segment] | SegmentError:
    tokenizer = tokenizer or _tokenizer
    assert tokenizer is not None
    try:
        return segment_chain(chain, eta, tokenizer, mode=mode)
    except ValueError as error:
        return SegmentError(index, str(error))


def segment_chains(
    chains: Iterable[str], eta: int, tokenizer_name_or_path: str | Path, *, mode: Mode = "greedy", processes: int = 1
) -> Iterator[list[Segment] | SegmentError]:
    """Cut many chains, each as :func:`~datasets_build.segmentation.segment.segment_chain` does.

    Results come in the order of the chains and don't depend on the number of processes. The input is read only a few
    chains per process ahead of the results, so it may be of any length.

    Args:
        chains: the chains. One that can't be cut yields its error in place of its segments.
        eta: the most tokens that a segment may have.
        tokenizer_name_or_path: the target model's tokenizer; loaded once in every process.
        mode: as in :func:`~datasets_build.segmentation.segment.segment_chain`.
        processes: worker processes; 1 works in this process.

    Raises:
        ValueError: an option is out of range, or the tokenizer knows no offsets.
        OSError: there is no such tokenizer.
        RuntimeError: a worker process was ended from outside, while the results are read.
    """
    check_options(eta, mode, 0.0)
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    name = str(tokenizer_name_or_path)
    tokenizer = _load(name)
    numbered = enumerate(chains)
    if processes == 1:
        return (_segment(index, chain, eta, mode, tokenizer) for index, chain in numbered)
    return _in_pool(numbered, eta, name, mode, processes)


def _in_pool(
    numbered: Iterator[tuple[int, str]], eta: int, name: str, mode: Mode, processes: int
) -> Iterator[list[Segment] | SegmentError]:
    # Never a plain fork: the tokenizer of this process may have threads.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":  # imported once, not once in each worker
        context.set_forkserver_preload([__name__, "transformers.models.auto.tokenization_auto"])
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(name,))
    waiting: deque[Future[list[Segment] | SegmentError]] = deque()
    done = 0
    try:
        for index, chain in islice(numbered, _AHEAD * processes):
            waiting.append(pool.submit(_segment, index, chain, eta, mode))
        while waiting:
            result = waiting.popleft().result()
            done += 1
            for index, chain in islice(numbered, 1):
                waiting.append(pool.submit(_segment, index, chain, eta, mode))
            yield result
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"a worker process was ended from outside after {done} chains were done (out of memory?);"
            " fewer processes need less memory"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
