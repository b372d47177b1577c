"""Distributions of whole numbers, exact and in memory that the number of different values bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Distribution", "Figures"]

QUANTILES = (0.1, 0.5, 0.9, 0.99)


class Distribution:
    """How often each number came."""

    def __init__(self, values: Iterable[int] = ()) -> None:
        self.counts: Counter[int] = Counter(values)

    def add(self, values: Iterable[int]) -> None:
        """Count more numbers."""
        self.counts.update(values)

    @property
    def number(self) -> int:
        """How many numbers there are."""
        return self.counts.total()

    @property
    def total(self) -> int:
        """Their sum."""
        return sum(value * count for value, count in self.counts.items())

    @property
    def mean(self) -> float | None:
        """Their mean; None where there are none."""
        return self.total / self.number if self.number else None

    def quantile(self, share: float) -> int | None:
        """The smallest number that at least this share of all is not above; None where there are none."""
        reached = 0
        for value in sorted(self.counts):
            reached += self.counts[value]
            if reached >= share * self.number:
                return value
        return None

    def as_json(self) -> dict[str, Any]:
        """Number, sum, mean, extremes and quantiles."""
        quantiles = {f"p{round(100 * share)}": self.quantile(share) for share in QUANTILES}
        mean = None if self.mean is None else round(self.mean, 3)
        extremes = {"min": min(self.counts, default=None), "max": max(self.counts, default=None)}
        return {"number": self.number, "total": self.total, "mean": mean, **extremes, **quantiles}


@dataclass(slots=True)
class Figures:
    """What a build's data looks like.

    Attributes:
        segments_per_example: of examples that were cut and summarized.
        segment_tokens, summary_tokens: of these examples' segments and summaries.
        summarized_tokens: tokens of the segments that have a summary, all together.
        instance_tokens, vanilla_tokens: of the rows that are written, prompt and template included.
        cuts: how often a segment ends at each kind of place.
        attempts: replies that each summary took.
    """

    segments_per_example: Distribution = field(default_factory=Distribution)
    segment_tokens: Distribution = field(default_factory=Distribution)
    summary_tokens: Distribution = field(default_factory=Distribution)
    summarized_tokens: int = 0
    instance_tokens: Distribution = field(default_factory=Distribution)
    vanilla_tokens: Distribution = field(default_factory=Distribution)
    cuts: Counter[str] = field(default_factory=Counter)
    attempts: Distribution = field(default_factory=Distribution)

    @property
    def compression(self) -> float | None:
        """Summary tokens over the tokens of the segments that they summarize; None where there are none."""
        return self.summary_tokens.total / self.summarized_tokens if self.summarized_tokens else None

    def as_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        named = ("segments_per_example", "segment_tokens", "summary_tokens", "instance_tokens", "vanilla_tokens")
        return {
            **{name: getattr(self, name).as_json() for name in named},
            "compression_ratio": None if self.compression is None else round(self.compression, 4),
            "cuts": dict(self.cuts.most_common()),
            "replies_per_summary": self.attempts.as_json(),
        }
