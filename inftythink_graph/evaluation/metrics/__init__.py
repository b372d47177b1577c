"""What trials come to: accuracy, cost, outcomes, curves, groups, and the comparison of two runs.

Pure functions of the records in :mod:`inftythink_graph.evaluation.trials`. A mean is always one over problems, of each
problem's mean over its samples, and its standard error says how far another draw of problems and samples might move it.
"""

from inftythink_graph.evaluation.metrics.accuracy import maj_at_n, mean_at_n, pass_at_k, pass_at_powers
from inftythink_graph.evaluation.metrics.costs import MEASURES, Spread, costs, spread, tokens_per_second
from inftythink_graph.evaluation.metrics.curves import (
    Curve,
    accuracy_by_epochs,
    accuracy_by_squared_tokens,
    accuracy_by_tokens,
)
from inftythink_graph.evaluation.metrics.estimates import Coverage, Estimate, coverage
from inftythink_graph.evaluation.metrics.groups import DepthGroup, Group, accuracy_by, accuracy_by_depth
from inftythink_graph.evaluation.metrics.outcomes import OUTCOMES, Share, outcomes
from inftythink_graph.evaluation.metrics.paired import McNemar, PairedComparison, compare_runs, compare_trials

__all__ = [
    "MEASURES",
    "OUTCOMES",
    "Coverage",
    "Curve",
    "DepthGroup",
    "Estimate",
    "Group",
    "McNemar",
    "PairedComparison",
    "Share",
    "Spread",
    "accuracy_by",
    "accuracy_by_depth",
    "accuracy_by_epochs",
    "accuracy_by_squared_tokens",
    "accuracy_by_tokens",
    "compare_runs",
    "compare_trials",
    "costs",
    "coverage",
    "maj_at_n",
    "mean_at_n",
    "outcomes",
    "pass_at_k",
    "pass_at_powers",
    "spread",
    "tokens_per_second",
]
