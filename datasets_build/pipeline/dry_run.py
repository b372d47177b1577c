"""What a build would cost, from a sample of its source: read, cut, counted, nothing asked and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from datasets_build.pipeline.build import cut_examples
from datasets_build.pipeline.distributions import Distribution
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.records import CUT, Overlong
from datasets_build.pipeline.row_counts import known_rows
from datasets_build.pipeline.rows import load_tokenizer
from datasets_build.segmentation.pool import SegmentError
from datasets_build.segmentation.sizes import sizer_of
from datasets_build.sources.funnel import Funnel
from datasets_build.sources.load import read_examples
from datasets_build.summaries.prompt import load_prompt

__all__ = ["SAMPLE", "Estimate", "dry_run", "request_tokens"]

SAMPLE = 200
"""Rows that are looked at, where no limit says otherwise."""


@dataclass(slots=True)
class Estimate:
    """The costs of a build.

    Attributes:
        funnel: of the sample, up to the segments.
        segment_tokens: of the sample's segments that are summarized.
        rows: rows of the sample.
        total_rows: rows of the source; None if unknown.
        overlong: examples of the sample that are left out before their summaries, for the length of a row.
        requests: summaries to write.
        prompt_tokens: tokens of all prompts.
        new_tokens: those of them that don't stand at the head of the request before: what a server must compute that
            keeps the rest in its prefix cache.
        reply_tokens: tokens of the replies, at most.
    """

    funnel: Funnel
    segment_tokens: Distribution
    rows: int = 0
    total_rows: int | None = None
    overlong: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    reply_tokens: int = 0

    @property
    def scale(self) -> float | None:
        """Times that the sample goes into the source; None if unknown."""
        return self.total_rows / self.rows if self.total_rows is not None and self.rows else None

    def lines(self) -> list[str]:
        """The costs in words."""
        counted = [
            ("examples left out for a row that is too long", self.overlong),
            ("requests", self.requests),
            ("prompt tokens as sent", self.prompt_tokens),
            ("prompt tokens to compute", self.new_tokens),
            ("reply tokens at most", self.reply_tokens),
        ]
        lines = []
        for name, value in counted:
            whole = f", about {round(value * self.scale):,} for all {self.total_rows:,} rows" if self.scale else ""
            lines.append(f"{name}: {value:,} for {self.rows:,} rows{whole}")
        return lines


def request_tokens(
    segments: Sequence[int], *, head: int, turn: int, summary: int, window: int | None = None
) -> tuple[int, int]:
    """Tokens of all prompts of one example, and those of them that are new to a prefix cache.

    The request for summary i holds the head, the first i segments with their turns, and the i - 1 summaries before.

    Args:
        segments: tokens of each segment.
        head: tokens of instruction and question.
        turn: tokens around each segment.
        summary: tokens of a summary; its budget gives an upper bound.
        window: most tokens of a request and its reply; None for no limit.
    """
    sent = new = 0
    length = head
    for number, size in enumerate(segments[:-1]):
        added = size + turn + (summary if number else 0)
        length += added
        room = length if window is None else max(min(length, window - summary), 0)
        sent += room
        # A summary was computed when it was written.
        new += min(size + turn + (0 if number else head), room)
    return sent, new


def dry_run(options: BuildOptions) -> Estimate:
    """Read and cut the first rows of the source, and work out what summarizing it all takes.

    Raises:
        InvalidInputError: as :func:`~datasets_build.pipeline.build.build_dataset`.
    """
    tokenizer = load_tokenizer(options.tokenizer)
    count = sizer_of(tokenizer).count
    prompt = load_prompt(options.prompt)
    instruction, opening, turn = count([prompt.instruction, prompt.opening, prompt.turn])
    sample = replace(options.source_options(), limit=options.limit or SAMPLE)
    estimate = Estimate(Funnel(), Distribution(), total_rows=known_rows(options.source_options()))
    examples = read_examples(sample, estimate.funnel)
    for _, example, segments in cut_examples(examples, options, seen=lambda _: False):
        if isinstance(segments, SegmentError):
            estimate.funnel.lose("examples", CUT, detail=f"{example.uuid}: {segments.reason}")
            continue
        if isinstance(segments, Overlong):
            estimate.funnel.enter("segments", len(segments.segments))
            estimate.overlong += 1
            continue
        sizes = [each.tokens for each in segments]
        estimate.funnel.enter("segments", len(sizes))
        estimate.segment_tokens.add(sizes)
        question, system = count([example.question, example.system])
        sent, new = request_tokens(
            sizes,
            head=instruction + opening + question + system,
            turn=turn,
            summary=options.summary_budget,
            window=options.window,
        )
        estimate.requests += len(sizes) - 1
        estimate.prompt_tokens += sent
        estimate.new_tokens += new
        estimate.reply_tokens += (len(sizes) - 1) * options.summary_budget
    estimate.rows = estimate.funnel.entered("rows")
    return estimate
