"""What the pictures of a report have in common: colours that everyone can tell apart, axes, legends, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import InftyThinkError
from inftythink_graph.plain_text import one_line_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Look",
    "add_legend",
    "label_text",
    "log_ticks",
    "looks",
    "new_figure",
    "percent_axis",
    "power_ticks",
    "tidy_axes",
]

# Okabe and Ito's palette, without its yellow, which is too light for lines on white.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", ":")
_LONGEST = 48  # characters of a name in a legend


@dataclass(frozen=True, slots=True)
class Look:
    """How a run is drawn: told apart by colour, by marker, and in black and white by both."""

    color: str
    marker: str
    dashes: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name; none comes twice for up to 21 names."""
    unique = dict.fromkeys(names)
    count = len(_COLORS)
    return {
        name: Look(_COLORS[index % count], _MARKERS[index % count], _DASHES[index // count % len(_DASHES)])
        for index, name in enumerate(unique)
    }


def label_text(text: str) -> str:
    """Text of others as a label: never formulas to matplotlib, and never hidden by an underscore in front."""
    line = one_line_text(text, _LONGEST).replace("$", r"\$")
    return f" {line}" if line.startswith("_") else line


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Any]]:
    """A figure and its panels, side by side.

    Raises:
        InftyThinkError: matplotlib isn't installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InftyThinkError("pictures need matplotlib; pip install 'inftythink-graph[evaluation]'") from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return figure, list(figure.subplots(1, columns, squeeze=False, sharey=True)[0])


def tidy_axes(axes: Any, xlabel: str) -> None:
    """A light grid, two spines, and what the horizontal axis shows."""
    axes.set_xlabel(xlabel, fontsize=10)
    axes.grid(color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(colors="#444444", labelsize=9)


def percent_axis(axes: Any) -> None:
    """Accuracy upwards, all of it: from 0 to 100%."""
    axes.set_ylabel("accuracy (%)", fontsize=10)
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 20))


def log_ticks(axes: Any) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5 of each decade (at 1 where there are many), as 500, 2k, 10M."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    subs = (1.0, 2.0, 5.0) if high / low < 3e2 else (1.0,) if high / low > 1e5 else (1.0, 3.0)
    axes.xaxis.set_major_locator(LogLocator(10, subs=subs, numticks=20))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())


def power_ticks(axes: Any) -> None:
    """A logarithmic axis with ticks at powers of two, thinned out to at most ten, written as plain numbers."""
    from math import ceil, floor, log2

    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = axes.get_xlim()
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    powers = range(ceil(log2(low)), floor(log2(high)) + 1)
    axes.xaxis.set_major_locator(FixedLocator([2.0**power for power in powers if power % (len(powers) // 10 + 1) == 0]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"1/{1 / value:,.0f}")


def add_legend(figure: Figure, axes: Any, title: str) -> None:
    """The legend below the panels, in as many columns as the figure is wide enough for, and the title above them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    handles, labels = axes.get_legend_handles_labels()
    renderer = FigureCanvasAgg(figure).get_renderer()
    for columns in range(len(labels), 0, -1):
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": columns}
        legend = figure.legend(handles, labels, fontsize=9, frameon=False, **place)
        if columns == 1 or legend.get_window_extent(renderer).width < 0.98 * figure.bbox.width:
            break
        legend.remove()
    figure.suptitle(label_text(title), fontsize=12)
