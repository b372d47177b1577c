"""The picture of a training run: loss, learning rate, speed, and what was solved on the way.

A run draws it at its end. Run as ``python -m sft.picture runs/bundled`` for one that goes on or was killed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inftythink_graph.plain_text import one_line_text
from sft.run_log import history_of

__all__ = ["PICTURE", "Curve", "curve", "draw", "main", "save_picture", "smoothed"]

PICTURE = "training.png"

_BLUE, _RED, _GREEN, _GREY, _GOLD = "#3b6ea8", "#c4504a", "#4f8f5b", "#6b6f76", "#b8862f"
_NAMES = {
    "eval_rows_right": ("rows right throughout", _GREEN),
    "eval_token_accuracy": ("tokens right", _GOLD),
    "eval_generation_accuracy": ("problems solved", _RED),
    "eval_generation_exhausted": ("problems not concluded", _GREY),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """Values of one figure by step."""

    steps: tuple[float, ...]
    values: tuple[float, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)


def curve(history: Sequence[Mapping[str, Any]], name: str) -> Curve:
    """The values of ``name`` in a run's log; of a step that is logged twice, the later one."""
    found = {
        float(entry["step"]): float(entry[name]) for entry in history if entry.get(name) is not None and "step" in entry
    }
    steps = sorted(found)
    return Curve(tuple(steps), tuple(found[step] for step in steps))


def smoothed(values: Sequence[float]) -> list[float]:
    """A running mean over about a thirtieth of the values, centred; the ends take what there is."""
    reach = len(values) // 60
    windows = (values[max(index - reach, 0) : index + reach + 1] for index in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _panel(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color="#333333", pad=6)
    axes.grid(axis="y", color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(colors="#555555", labelsize=8)


def _plot(axes: Any, line: Curve, color: str, label: str = "", **style: Any) -> None:
    # Few points are hard to see as a line.
    marker = {"marker": "o", "ms": 4} if len(line.steps) <= 40 else {}
    axes.plot(line.steps, line.values, color=color, label=label or None, **{"lw": 1.6, **marker, **style})


def _losses(axes: Any, history: Sequence[Mapping[str, Any]]) -> None:
    train, held_out = curve(history, "loss"), curve(history, "eval_loss")
    if train:
        _plot(axes, train, _BLUE, lw=0.8, alpha=0.35, marker="")
        _plot(axes, Curve(train.steps, tuple(smoothed(train.values))), _BLUE, "training", marker="")
    if held_out:
        _plot(axes, held_out, _RED, "held-out")
    positive = [value for value in (*train.values, *held_out.values) if value > 0]
    if positive and max(positive) > 20 * min(positive):
        axes.set_yscale("log")
    if train and held_out:
        axes.legend(fontsize=8, frameon=False)
    last = [f"{name} {line.values[-1]:.4g}" for name, line in (("training", train), ("held-out", held_out)) if line]
    _panel(axes, f"loss   (at the end: {', '.join(last)})" if last else "loss")


def _shares(axes: Any, history: Sequence[Mapping[str, Any]]) -> None:
    for name, (label, color) in _NAMES.items():
        if line := curve(history, name):
            _plot(axes, line, color, label, ls="--" if name == "eval_generation_exhausted" else "-")
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(fontsize=8, frameon=False, loc="best")
    _panel(axes, "held-out problems and rows")


def _rate(axes: Any, history: Sequence[Mapping[str, Any]]) -> None:
    _plot(axes, curve(history, "learning_rate"), _GOLD, marker="")
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="y", nbins=5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    _panel(axes, "learning rate")


def _speed(axes: Any, history: Sequence[Mapping[str, Any]]) -> None:
    line, padding = curve(history, "tokens_per_second"), curve(history, "padding_share")
    _plot(axes, line, _GREEN, lw=0.8, alpha=0.35, marker="")
    _plot(axes, Curve(line.steps, tuple(smoothed(line.values))), _GREEN, marker="")
    axes.set_ylim(bottom=0, top=1.15 * max(line.values))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    mean = sum(padding.values) / len(padding.values) if padding else 0.0
    _panel(axes, f"real tokens per second   (padding: {mean:.0%})")


def draw(history: Sequence[Mapping[str, Any]], title: str = "") -> Any:
    """A matplotlib figure of a run's log: panels for what there is of it.

    Raises:
        ValueError: the log has neither losses nor evaluations.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    panels = [_losses] if curve(history, "loss") or curve(history, "eval_loss") else []
    if not panels:
        raise ValueError("nothing to draw: the log has no loss")
    panels += [_shares] if any(curve(history, name) for name in _NAMES) else []
    panels += [_rate] if curve(history, "learning_rate") else []
    panels += [_speed] if curve(history, "tokens_per_second") else []
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    figure = Figure(figsize=(5.2 * columns, 3.1 * rows + 0.4), layout=layout, facecolor="white")
    places = figure.subplots(rows, columns, squeeze=False, sharex=True).flatten()
    for axes, panel in zip(places, panels, strict=False):
        panel(axes, history)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    for axes in places[max(len(panels) - columns, 0) : len(panels)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step", fontsize=9, color="#555555")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    if title:
        figure.suptitle(one_line_text(title), fontsize=12, x=0.012, ha="left", color="#222222", parse_math=False)
    return figure


def _title(history: Sequence[Mapping[str, Any]], folder: Path) -> str:
    name = folder.resolve().parent.name if folder.name == "final" else folder.resolve().name
    steps = max(int(entry.get("step") or 0) for entry in history)
    tokens = curve(history, "num_tokens")
    seen = f", {tokens.values[-1]:,.0f} tokens" if tokens else ""
    return f"{name}: {steps:,} steps{seen}"


def save_picture(history: Sequence[Mapping[str, Any]], folder: Path) -> Path | None:
    """Draw a run's log into a folder; None where there is nothing to draw, or matplotlib isn't installed."""
    try:
        figure = draw(history, _title(history, folder))
    except (ImportError, ValueError) as error:  # a run of few steps, or a machine without plots: the model counts
        print(f"sft.picture: no picture in {folder}: {error}", file=sys.stderr)
        return None
    path = folder / PICTURE
    figure.savefig(path, dpi=150)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Draw a run from its log. Exit code 2 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m sft.picture", description=main.__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    args = parser.parse_args(argv)
    try:
        path = save_picture(history_of(args.run), args.run)
    except ValueError as error:
        print(f"sft.picture: {error}", file=sys.stderr)
        return 2
    print(path or "")
    return 0 if path else 2


if __name__ == "__main__":
    sys.exit(main())
