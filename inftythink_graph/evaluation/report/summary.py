"""One run in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inftythink_graph.evaluation.metrics import (
    Coverage,
    Curve,
    DepthGroup,
    Estimate,
    Group,
    Share,
    Spread,
    accuracy_by,
    accuracy_by_depth,
    accuracy_by_epochs,
    accuracy_by_squared_tokens,
    accuracy_by_tokens,
    costs,
    coverage,
    maj_at_n,
    mean_at_n,
    outcomes,
    pass_at_powers,
    tokens_per_second,
)
from inftythink_graph.evaluation.trials import Run

__all__ = ["GROUP_KEYS", "RunSummary", "common_window", "summarize"]

GROUP_KEYS = ("family", "subject", "level")
"""What questions are grouped by, where their ``meta`` has it."""
_STEPS = 256
"""Most steps of a curve that are kept."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything that a report says of one run.

    Attributes:
        name: what tables and pictures call it.
        task: its task.
        config: its config, as values that JSON has.
        coverage: how much of it there is.
        accuracy: mean@n.
        majority: maj@n.
        pass_at: unbiased pass@k by k.
        costs: the spread of each measure; None where it isn't known.
        tokens_per_second: of one trial; None where it isn't known.
        outcomes: the share of trials with each outcome.
        by_epochs, by_tokens, by_squared_tokens: accuracy as step curves.
        groups: accuracy by the values of each key of the questions' ``meta``.
        window: tokens of the window that depths are multiples of; 1 where they are in tokens.
        depths: accuracy by depth; empty where no depths are known.
    """

    name: str
    task: str
    config: Mapping[str, Any]
    coverage: Coverage
    accuracy: Estimate
    majority: Estimate
    pass_at: Mapping[int, Estimate]
    costs: Mapping[str, Spread | None]
    tokens_per_second: float | None
    outcomes: Mapping[str, Share]
    by_epochs: Curve
    by_tokens: Curve
    by_squared_tokens: Curve
    groups: Mapping[str, Sequence[Group]]
    window: int
    depths: Sequence[DepthGroup]

    def mean(self, measure: str) -> Estimate | None:
        """The mean of a measure of cost; None where it isn't known."""
        found = self.costs.get(measure)
        return None if found is None else found.mean

    def as_json(self) -> dict[str, Any]:
        """The summary as values that JSON has."""
        return asdict(self)


def common_window(runs: Sequence[Run]) -> int:
    """The unit of depth for several runs: the smallest ``window`` in their configs; 1 where none states one."""
    stated = [run.config.get("window") for run in runs]
    return min((value for value in stated if isinstance(value, int) and value > 0), default=1)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON makes of a config: tuples become lists, and what it doesn't know its text."""
    return dict(json.loads(json.dumps(dict(config), default=str)))


def summarize(
    run: Run, *, name: str | None = None, window: int | None = None, group_by: Sequence[str] = GROUP_KEYS
) -> RunSummary:
    """Compute everything that a report says of a run.

    Args:
        run: the run; it may have been cut short.
        name: what to call it; by default its label.
        window: tokens of the window that depths are multiples of; by default the one in its config.
        group_by: keys of the questions' ``meta``.

    Raises:
        InvalidInputError: a sample of a question comes twice.
    """
    trials, unit = run.trials, common_window([run]) if window is None else window
    samples = run.config.get("samples")
    groups = {key: accuracy_by(trials, run.questions, key) for key in group_by}
    return RunSummary(
        name=run.label if name is None else name,
        task=run.task,
        config=_plain(run.config),
        coverage=coverage(trials, questions=len(run.questions), samples=samples if isinstance(samples, int) else None),
        accuracy=mean_at_n(trials),
        majority=maj_at_n(trials, {question.id: question.kind for question in run.questions}),
        pass_at=pass_at_powers(trials),
        costs=costs(trials),
        tokens_per_second=tokens_per_second(trials),
        outcomes=outcomes(trials),
        by_epochs=accuracy_by_epochs(trials).thinned(_STEPS),
        by_tokens=accuracy_by_tokens(trials).thinned(_STEPS),
        by_squared_tokens=accuracy_by_squared_tokens(trials).thinned(_STEPS),
        groups={key: found for key, found in groups.items() if found},
        window=unit,
        depths=accuracy_by_depth(trials, run.questions, unit),
    )
