"""Accuracy as a function of what is allowed or spent, from one run: step curves."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.metrics.estimates import Estimate, by_problem
from inftythink_graph.evaluation.trials import Trial

__all__ = ["Curve", "accuracy_by_epochs", "accuracy_by_squared_tokens", "accuracy_by_tokens", "accuracy_within"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A step curve: from each budget to the next the accuracy stays what it is; before the first it is 0.

    Attributes:
        budgets: where it may rise, rising; the last is what the costliest trial took.
        accuracies: mean over problems from each budget on; the last is the accuracy of the run.
        errors: their standard errors; None with fewer than two problems.
        problems: how many problems it is over.
    """

    budgets: tuple[int, ...]
    accuracies: tuple[float, ...]
    errors: tuple[float | None, ...]
    problems: int

    def at(self, budget: float) -> Estimate:
        """The accuracy within a budget."""
        place = bisect_right(self.budgets, budget) - 1
        if not self.problems:
            return Estimate(None, None, 0)
        if place < 0:
            return Estimate(0.0, 0.0 if self.problems > 1 else None, self.problems)
        return Estimate(self.accuracies[place], self.errors[place], self.problems)

    def thinned(self, most: int) -> Curve:
        """The curve with at most ``most`` steps, the last among them; where steps merge, they do so to the right.

        Raises:
            InvalidInputError: most is below 1.
        """
        if most < 1:
            raise InvalidInputError(f"a curve must keep at least 1 step, got {most}")
        steps = len(self.budgets)
        if steps <= most:
            return self
        kept = [(number + 1) * steps // most - 1 for number in range(most)]
        budgets = tuple(self.budgets[place] for place in kept)
        accuracies = tuple(self.accuracies[place] for place in kept)
        return Curve(budgets, accuracies, tuple(self.errors[place] for place in kept), self.problems)


def _error(total: Fraction, squares: Fraction, problems: int) -> float | None:
    if problems < 2:
        return None
    variance = (squares - total * total / problems) / (problems - 1)
    return math.sqrt(variance / problems)


def accuracy_within(trials: Sequence[Trial], cost: Callable[[Trial], int]) -> Curve:
    """The share of trials that are correct and cost no more than a budget, over all budgets.

    Sums are of fractions, so that neither the order of the trials nor rounding shows.
    """
    problems = by_problem(trials)
    if not problems:
        return Curve((), (), (), 0)
    gains: dict[int, Counter[str]] = {max(map(cost, trials)): Counter()}
    for trial in trials:
        if trial["correct"]:
            gains.setdefault(cost(trial), Counter())[trial["question"]] += 1
    reached: dict[str, Fraction] = {}
    total, squares = Fraction(), Fraction()
    accuracies: list[float] = []
    errors: list[float | None] = []
    budgets = sorted(gains)
    for budget in budgets:
        for question, count in gains[budget].items():
            before = reached.get(question, Fraction())
            after = reached[question] = before + Fraction(count, len(problems[question]))
            total += after - before
            squares += after * after - before * before
        accuracies.append(float(total / len(problems)))
        errors.append(_error(total, squares, len(problems)))
    return Curve(tuple(budgets), tuple(accuracies), tuple(errors), len(problems))


def _contexts(trial: Trial) -> list[tuple[int, int]]:
    return [(prompt, completion) for requests in trial["contexts"] for prompt, completion in requests]


def accuracy_by_epochs(trials: Sequence[Trial]) -> Curve:
    """Accuracy as a function of the number of epochs allowed: the paper's accuracy against iterations.

    A trial counts from the number of epochs on after which it had its correct answer by itself. An answer that was
    forced was forced after the last epoch, so it counts from there on; what forcing would have given earlier isn't
    known. So below its end the curve is what a run with fewer epochs reaches at least.
    """
    return accuracy_within(trials, lambda trial: len(trial["contexts"]))


def accuracy_by_tokens(trials: Sequence[Trial]) -> Curve:
    """Accuracy as a function of the tokens generated until the answer was complete."""
    return accuracy_within(trials, lambda trial: sum(completion for _, completion in _contexts(trial)))


def accuracy_by_squared_tokens(trials: Sequence[Trial]) -> Curve:
    """Accuracy as a function of the squared context lengths, summed up to the request that completed the answer."""
    return accuracy_within(trials, lambda trial: sum((sent + made) ** 2 for sent, made in _contexts(trial)))
