"""What trials cost: tokens, epochs, context and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from inftythink_graph.evaluation.metrics.estimates import Estimate, estimate_of
from inftythink_graph.evaluation.trials import Trial

__all__ = ["MEASURES", "Spread", "costs", "spread", "tokens_per_second"]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a measure is spread over the trials of a run.

    Attributes:
        mean: over problems, as accuracy is.
        median: over trials: the smallest value that half of them don't exceed.
        p95: the smallest value that 95 in 100 don't exceed.
        highest: the largest value.
    """

    mean: Estimate
    median: float
    p95: float
    highest: float


MEASURES: Mapping[str, Callable[[Trial], float]] = MappingProxyType(
    {
        "tokens": lambda trial: trial["usage"]["completion_tokens"],
        "epochs": lambda trial: len(trial["contexts"]),
        "peak_context": lambda trial: trial["usage"]["peak_context"],
        "sum_tokens": lambda trial: trial["usage"]["sum_tokens"],
        "sum_squared_tokens": lambda trial: trial["usage"]["sum_squared_tokens"],
        "prompt_tokens": lambda trial: trial["usage"]["prompt_tokens"],
        "cached_tokens": lambda trial: trial["usage"]["cached_tokens"],
        "requests": lambda trial: trial["usage"]["requests"],
        "seconds": lambda trial: trial["seconds"],
    }
)
"""The measures by name: ``tokens`` are those generated; the others are named as in Usage and Trial."""
_COUNTED = ("tokens", "peak_context", "sum_tokens", "sum_squared_tokens", "prompt_tokens", "cached_tokens")


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def spread(trials: Sequence[Trial], measure: Callable[[Trial], float]) -> Spread | None:
    """How a measure is spread over trials; None where there are none."""
    ordered = sorted(measure(trial) for trial in trials)
    if not ordered:
        return None
    return Spread(estimate_of(trials, measure), _quantile(ordered, 0.5), _quantile(ordered, 0.95), ordered[-1])


def costs(trials: Sequence[Trial]) -> dict[str, Spread | None]:
    """The spread of every measure; None for tokens where the model reports none."""
    counted = any(trial["usage"]["completion_tokens"] for trial in trials)
    return {
        name: spread(trials, measure) if counted or name not in _COUNTED else None for name, measure in MEASURES.items()
    }


def tokens_per_second(trials: Sequence[Trial]) -> float | None:
    """Tokens that one trial generates in a second: all tokens over the seconds of all trials, queueing included.

    It is the speed that a single question sees. Trials run at the same time, so the server's throughput is a multiple.
    None where the model reports no tokens, or no time passed.
    """
    tokens = sum(trial["usage"]["completion_tokens"] for trial in trials)
    seconds = sum(trial["seconds"] for trial in trials)
    return tokens / seconds if tokens and seconds else None
