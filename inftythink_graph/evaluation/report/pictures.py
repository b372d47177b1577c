"""The pictures of a report, each for the runs of one task. A picture for which nothing is known isn't drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inftythink_graph.evaluation.metrics import Curve
from inftythink_graph.evaluation.report.style import (
    Look,
    add_legend,
    label_text,
    log_ticks,
    looks,
    new_figure,
    percent_axis,
    power_ticks,
    tidy_axes,
)
from inftythink_graph.evaluation.report.summary import RunSummary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "draw_budgets", "draw_costs", "draw_depths", "draw_epochs"]

_TOKENS, _SQUARED = "tokens generated per answer", "sum of squared context lengths per answer (tokens²)"


def _looks(summaries: Sequence[RunSummary], given: Mapping[str, Look] | None) -> Mapping[str, Look]:
    return given or looks([each.name for each in summaries])


def _percent(values: Sequence[float | None]) -> list[float]:
    return [100 * (value or 0.0) for value in values]


def draw_costs(summaries: Sequence[RunSummary], look_of: Mapping[str, Look] | None = None) -> Figure | None:
    """Accuracy against mean cost, in tokens and in squared tokens: a point for each run, with standard errors.

    Points of one method and one model are joined in the order of their limits: eta, or the longest chain.

    Raises:
        InftyThinkError: matplotlib isn't installed.
    """
    known = [each for each in summaries if each.accuracy.value is not None and each.mean("tokens") is not None]
    if not known:
        return None
    figure, panels = new_figure(10, 4.8, columns=2)
    look = _looks(summaries, look_of)
    for axes, measure, xlabel in zip(panels, ("tokens", "sum_squared_tokens"), (_TOKENS, _SQUARED), strict=True):
        _join(axes, known, measure)
        for each in known:
            mean, style = each.mean(measure), look[each.name]
            axes.errorbar(
                mean.value if mean else 0,
                100 * (each.accuracy.value or 0),
                xerr=mean.error if mean and mean.error else None,
                yerr=100 * each.accuracy.error if each.accuracy.error is not None else None,
                fmt=style.marker,
                color=style.color,
                ms=8,
                capsize=3,
                lw=1.4,
                label=label_text(each.name),
            )
        axes.margins(x=0.12, y=0.12)
        log_ticks(axes)
        tidy_axes(axes, xlabel)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(max(low, -2), min(high, 102))
    panels[0].set_ylabel("accuracy (%)", fontsize=10)
    add_legend(figure, panels[0], f"{summaries[0].task}: accuracy against cost")
    return figure


def _join(axes: Any, summaries: Sequence[RunSummary], measure: str) -> None:
    families: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for each in summaries:
        mean, config = each.mean(measure), each.config
        cost = (mean.value if mean else None) or 0.0
        limit = next((config[key] for key in ("eta", "max_tokens") if isinstance(config.get(key), int)), 0)
        point = (limit, cost, 100 * (each.accuracy.value or 0.0))
        families.setdefault((str(config.get("method")), str(config.get("model"))), []).append(point)
    for points in families.values():
        _, costs, accuracies = zip(*sorted(points), strict=True)
        axes.plot(costs, accuracies, color="#999999", lw=1, zorder=1)


def _steps(axes: Any, curve: Curve, style: Look, label: str, start: float, end: float) -> None:
    """A step curve with its error band, a marker at its end, carried on faintly to the end of the axis."""
    xs: list[float] = [*curve.budgets]
    ys, errors = _percent(curve.accuracies), _percent(curve.errors)
    if xs[0] > start:
        xs, ys, errors = [start, *xs], [0.0, *ys], [0.0, *errors]
    line: dict[str, Any] = {"color": style.color, "ls": style.dashes}
    ending: dict[str, Any] = {"marker": style.marker, "ms": 6, "markevery": [len(xs) - 1]}
    axes.plot(xs, ys, lw=1.7, label=label, drawstyle="steps-post", **line, **ending)
    low, high = ([y + sign * e for y, e in zip(ys, errors, strict=True)] for sign in (-1, 1))
    axes.fill_between(xs, low, high, step="post", color=style.color, alpha=0.13, lw=0)
    axes.plot([xs[-1], end], [ys[-1], ys[-1]], lw=1, alpha=0.45, **line)


def draw_budgets(summaries: Sequence[RunSummary], look_of: Mapping[str, Look] | None = None) -> Figure | None:
    """Accuracy within a budget of tokens and of squared tokens: a step curve with its standard error for each run.

    A marker stands at the end of a run's curve: at the cost of its dearest answer and at its accuracy.

    Raises:
        InftyThinkError: matplotlib isn't installed.
    """
    known = [each for each in summaries if each.by_tokens.budgets and each.by_tokens.budgets[-1] > 0]
    if not known:
        return None
    figure, panels = new_figure(10, 4.8, columns=2)
    look = _looks(summaries, look_of)
    curves: tuple[tuple[str, Callable[[RunSummary], Curve]], ...] = (
        ("budget: tokens generated", lambda each: each.by_tokens),
        ("budget: sum of squared context lengths (tokens²)", lambda each: each.by_squared_tokens),
    )
    for axes, (xlabel, curve_of) in zip(panels, curves, strict=True):
        start = 0.8 * max(min(curve_of(each).budgets[0] for each in known), 1)
        end = 1.25 * max(curve_of(each).budgets[-1] for each in known)
        for each in known:
            _steps(axes, curve_of(each), look[each.name], label_text(each.name), start, end)
        axes.set_xlim(start, end)
        log_ticks(axes)
        tidy_axes(axes, xlabel)
        percent_axis(axes)
    panels[1].set_ylabel("")
    add_legend(figure, panels[0], f"{summaries[0].task}: accuracy within a budget")
    return figure


def draw_epochs(summaries: Sequence[RunSummary], look_of: Mapping[str, Look] | None = None) -> Figure | None:
    """Accuracy against the epochs allowed: a step curve for each run, a level line for one that thinks in one chain.

    Raises:
        InftyThinkError: matplotlib isn't installed.
    """
    known = [each for each in summaries if each.by_epochs.budgets]
    highest = max((each.by_epochs.budgets[-1] for each in known), default=0)
    if highest < 2:
        return None
    figure, panels = new_figure(8, 4.8)
    axes, look = panels[0], _looks(summaries, look_of)
    for each in known:
        curve, style = each.by_epochs, look[each.name]
        if curve.budgets[-1] == 1:
            level = 100 * curve.accuracies[-1]
            axes.axhline(level, color=style.color, lw=1.3, ls="-.", label=f"{label_text(each.name)} (one chain)")
            if curve.errors[-1] is not None:
                band = 100 * curve.errors[-1]
                axes.axhspan(level - band, level + band, color=style.color, alpha=0.08, lw=0)
        else:
            _steps(axes, curve, style, label_text(each.name), 1.0, highest)
    margin = (highest / 0.95) ** 0.02
    axes.set_xlim(0.95 if highest <= 16 else 1 / margin, highest + 0.2 if highest <= 16 else highest * margin)
    if highest > 16:
        power_ticks(axes)
    else:
        axes.locator_params(axis="x", integer=True, nbins=16)
    tidy_axes(axes, "epochs allowed")
    percent_axis(axes)
    add_legend(figure, axes, f"{summaries[0].task}: accuracy against epochs allowed")
    return figure


def draw_depths(summaries: Sequence[RunSummary], look_of: Mapping[str, Look] | None = None) -> Figure | None:
    """Accuracy against how deep a question is: a point for each group of depths, at the group's mean depth.

    Where runs share a depth, their points stand a little beside one another, so that no error bar hides another.

    Raises:
        InftyThinkError: matplotlib isn't installed.
    """
    known = [each for each in summaries if len(each.depths) > 1]
    if not known:
        return None
    figure, panels = new_figure(8, 4.8)
    axes, look = panels[0], _looks(summaries, look_of)
    for place, each in enumerate(known):
        style, beside = look[each.name], 2 ** (0.07 * (place - (len(known) - 1) / 2))
        axes.errorbar(
            [group.depth * beside for group in each.depths],
            _percent([group.accuracy.value for group in each.depths]),
            yerr=_percent([group.accuracy.error for group in each.depths]),
            color=style.color,
            marker=style.marker,
            ls=style.dashes,
            ms=6,
            lw=1.6,
            elinewidth=1.1,
            capsize=2.5,
            label=label_text(each.name),
        )
    lowest = min(group.depth for each in known for group in each.depths)
    highest = max(group.depth for each in known for group in each.depths)
    axes.set_xlim(lowest / 1.35, highest * 1.35)
    power_ticks(axes)
    window = known[0].window
    unit = f"windows of {window:,} tokens" if window > 1 else "tokens"
    tidy_axes(axes, f"depth of the chain of thought ({unit})")
    percent_axis(axes)
    add_legend(figure, axes, f"{summaries[0].task}: accuracy by depth")
    return figure


PICTURES: Mapping[str, tuple[str, Callable[[Sequence[RunSummary], Mapping[str, Look] | None], Figure | None]]] = {
    "accuracy_cost": ("Accuracy against mean cost; bars are standard errors", draw_costs),
    "accuracy_budget": ("Accuracy within a budget; bands are standard errors", draw_budgets),
    "accuracy_epochs": ("Accuracy against epochs allowed; bands are standard errors", draw_epochs),
    "accuracy_depth": ("Accuracy by depth; bars are standard errors", draw_depths),
}
"""The pictures by the beginning of their files' names: what they show, and the function that draws them."""
