"""Finds examples with a row that is too long whatever its summaries will say, before these are paid for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from datasets_build.instances import inftythink_instances
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.records import Overlong
from datasets_build.pipeline.rows import load_tokenizer
from datasets_build.row_tokens import row_length
from datasets_build.segmentation.segment import Segment
from datasets_build.sources.examples import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["LengthCheck", "longest_row", "stays_out"]

_SHORTEST = "."
_MERGED = 8  # tokens that a text in place of that may save where it meets the tags around it, with room to spare
_FRAME = 400  # tokens of a template and the tags, so that hardly any row has to be measured where there is much room


def longest_row(
    example: Example, segments: Sequence[Segment], options: BuildOptions, tokenizer: PreTrainedTokenizerBase
) -> tuple[int, int]:
    """(epoch, least tokens) of the longest row that an example can get, measured as rows are, with next to no summary.

    Args:
        example: the example; at least two segments.
        segments: of its chain.
        options: eta and format.
        tokenizer: the target model's.
    """
    rows = inftythink_instances(
        example.question,
        [each.text for each in segments],
        [_SHORTEST] * (len(segments) - 1),
        example.conclusion,
        protocol=options.protocol(),
        eta=options.eta,
        source=example.source,
        uuid=example.uuid,
        system=example.system,
    )
    tokens, epoch = max((row_length(row, tokenizer) - _MERGED, -row["epoch"]) for row in rows)
    return -epoch, tokens


def stays_out(overlong: Overlong, options: BuildOptions) -> bool:
    """Whether an example that was left out for its length is so under these options, as far as its record says."""
    same = options.too_long == "example" and options.history == overlong.history
    return same and overlong.tokens > options.max_length


class LengthCheck:
    """Says of an example that was cut whether it must be left out for its length.

    Only where ``too_long`` is ``example``: where only rows are left out, the others need all summaries. Examples of one
    segment get no summary and aren't looked at.

    Args:
        options: of the build.
        tokenizer: the target model's, for this thread's use; None loads it when it is first needed.
    """

    def __init__(self, options: BuildOptions, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        self._options, self._given = options, tokenizer

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return self._given or load_tokenizer(
            self._options.tokenizer
        )  # one of its own: it works in another thread than the others

    def _has_room(self, example: Example, segments: Sequence[Segment]) -> bool:
        """Whether every row fits by far: tokens of the segment, and no more tokens than bytes for the rest."""
        rest = sum(len(text.encode()) for text in (example.question, example.system, example.conclusion))
        return max(each.tokens for each in segments) + rest + _FRAME <= self._options.max_length

    def __call__(self, example: Example, segments: Sequence[Segment]) -> Overlong | None:
        """The record of an example that must be left out; None where it need not be."""
        options = self._options
        if options.too_long != "example" or len(segments) < 2 or self._has_room(example, segments):
            return None
        epoch, tokens = longest_row(example, segments, options, self._tokenizer)
        if tokens <= options.max_length:
            return None
        return Overlong(example, tuple(segments), epoch, tokens, options.history)
