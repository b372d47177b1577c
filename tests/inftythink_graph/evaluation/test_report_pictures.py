"""The report's pictures: what they show, and that nothing in them covers anything else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from trial_runs import HOSTILE, example_runs, trial

from inftythink_graph.evaluation.report import RunSummary, summarize
from inftythink_graph.evaluation.report.pictures import (
    PICTURES,
    draw_budgets,
    draw_costs,
    draw_depths,
    draw_epochs,
)
from inftythink_graph.evaluation.report.style import looks
from inftythink_graph.evaluation.trials import Question, Run

LABELS = ["$x_1$ costs $5", "_hidden", "a" * 200, HOSTILE, "plain"]


@cache
def summaries(hostile: bool = False) -> tuple[RunSummary, ...]:
    found = [summarize(run, window=512) for run in example_runs(number=16, samples=2)]
    return (
        tuple(replace(each, name=name) for each, name in zip(found, LABELS, strict=True)) if hostile else tuple(found)
    )


def line(axes: Any, label: str) -> Any:
    return next(each for each in axes.get_lines() if each.get_label() == label)


@pytest.mark.parametrize("hostile", [False, True], ids=["plain", "hostile"])
@pytest.mark.parametrize("kind", PICTURES)
def test_nothing_covers_anything_else(kind: str, hostile: bool) -> None:
    """The legend, the panels with their labels, and the title keep apart; so do the ticks' labels of each axis."""
    figure = PICTURES[kind][1](summaries(hostile), None)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    legend, title = figure.legends[0], figure._suptitle  # type: ignore[attr-defined]
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    boxes += [legend.get_window_extent(renderer), title.get_window_extent(renderer)]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    width, height = canvas.get_width_height()
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert len(legend.get_texts()) == 5
    for axes in figure.axes:
        assert axes.get_xlabel()
        for axis in (axes.xaxis, figure.axes[0].yaxis):  # the panels share the vertical axis
            low, high = sorted(axis.get_view_interval())
            ticks = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            extents = [text.get_window_extent(renderer) for text in ticks if text.get_text() and text.get_visible()]
            assert 3 <= len(extents) <= 14
            assert not [pair for pair in combinations(extents, 2) if pair[0].overlaps(pair[1])]


def test_points_stand_at_mean_cost_and_accuracy() -> None:
    figure = draw_costs(summaries())
    assert figure is not None
    for axes, measure in zip(figure.axes, ("tokens", "sum_squared_tokens"), strict=True):
        for each, container in zip(summaries(), axes.containers, strict=True):
            mean = each.mean(measure)
            assert mean is not None
            x, y = (values[0] for values in container.lines[0].get_data())
            assert (x, y) == pytest.approx((mean.value, 100 * (each.accuracy.value or 0)))
    # One line joins the two runs of one chain, another the three values of eta.
    joined = [each for each in figure.axes[0].get_lines() if each.get_color() == "#999999"]
    assert sorted(len(each.get_xdata()) for each in joined) == [2, 3]


def test_curves_end_at_the_accuracy_of_their_run() -> None:
    figure = draw_budgets(summaries())
    assert figure is not None
    for each in summaries():
        xs, ys = line(figure.axes[0], each.name).get_data()
        assert xs[-1] == each.by_tokens.budgets[-1]
        assert ys[-1] == pytest.approx(100 * (each.accuracy.value or 0))


def test_epochs_have_steps_for_each_eta_and_levels_for_one_chain() -> None:
    figure = draw_epochs(summaries())
    assert figure is not None
    axes = figure.axes[0]
    for each in summaries():
        if each.by_epochs.budgets[-1] == 1:
            assert set(line(axes, f"{each.name} (one chain)").get_ydata()) == {100 * each.by_epochs.accuracies[-1]}
        else:
            assert line(axes, each.name).get_drawstyle() == "steps-post"
            assert line(axes, each.name).get_xdata()[-1] == each.by_epochs.budgets[-1]


def test_depths_are_in_windows_where_one_is_known() -> None:
    figure = draw_depths(summaries())
    assert figure is not None
    assert figure.axes[0].get_xlabel() == "depth of the chain of thought (windows of 512 tokens)"
    in_tokens = draw_depths([summarize(run, window=1) for run in example_runs(number=8, samples=1)[:2]])
    assert in_tokens is not None
    assert in_tokens.axes[0].get_xlabel() == "depth of the chain of thought (tokens)"


def test_what_is_not_known_is_not_drawn() -> None:
    silent = Run("api", "t", {}, [Question("q", "?", "1")], [trial(contexts=[[(0, 0)]])])
    nothing = Run("none", "t", {}, [], [])
    found = [summarize(silent), summarize(nothing)]
    assert [draw(found, None) for _, draw in PICTURES.values()] == [None] * len(PICTURES)


def test_a_run_of_one_trial_can_be_drawn() -> None:
    one = Run("one", "t", {}, [Question("q", "?", "1")], [trial(contexts=[[(9, 30)], [(9, 5)]])])
    for draw in (draw_costs, draw_budgets, draw_epochs):
        figure = draw([summarize(one)])
        assert figure is not None
        figure.canvas.draw()


def test_looks_differ_for_as_many_runs_as_anyone_compares() -> None:
    found = looks([f"run {number}" for number in range(21)])
    assert len(set(found.values())) == 21
    assert looks(["a", "b", "a"])["b"] == looks(["a", "b"])["b"]
