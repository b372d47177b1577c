"""Segmentation of many chains over several processes: in order, streaming, with a bounded number under way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets_build.ordered_pool import ordered_map
from datasets_build.segmentation.segment import Mode, Segment, check_options, segment_chain
from datasets_build.segmentation.sizes import sizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SegmentError", "cutter", "segment_chains"]

_PRELOAD = (__name__, "transformers.models.auto.tokenization_auto")


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

    tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
    sizer_of(tokenizer)
    return tokenizer


def cutter(
    eta: int, mode: Mode, tokenizer: PreTrainedTokenizerBase
) -> Callable[[tuple[int, str]], list[Segment] | SegmentError]:
    """A function from a chain and its place in the input to its segments, or to why it has none."""

    def cut(numbered: tuple[int, str]) -> list[Segment] | SegmentError:
        index, chain = numbered
        try:
            return segment_chain(chain, eta, tokenizer, mode=mode)
        except ValueError as error:
            return SegmentError(index, str(error))

    return cut


def _loading_cutter(eta: int, mode: Mode, name: str) -> Callable[[tuple[int, str]], list[Segment] | SegmentError]:
    """For worker processes: the tokenizer is loaded once in each."""
    return cutter(eta, mode, _load(name))


def segment_chains(
    chains: Iterable[str], eta: int, tokenizer_name_or_path: str | Path, *, mode: Mode = "greedy", processes: int = 1
) -> Generator[list[Segment] | SegmentError, None, None]:
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
        InftyThinkError: a worker process was ended from outside, while the results are read.
    """
    check_options(eta, mode, 0.0)
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    name = str(tokenizer_name_or_path)
    tokenizer = _load(name)  # also where processes load their own: an error comes at once
    if processes == 1:
        return ordered_map(cutter, (eta, mode, tokenizer), enumerate(chains))
    return ordered_map(_loading_cutter, (eta, mode, name), enumerate(chains), processes=processes, preload=_PRELOAD)
