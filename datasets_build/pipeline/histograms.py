"""The picture of a build's data: how long things are, and where segments end."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasets_build.pipeline.distributions import Distribution, Figures
from datasets_build.pipeline.options import BuildOptions
from inftythink_graph.plain_text import one_line_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_histograms", "histogram_png"]

_BLUE, _GREY, _RED = "#4c72b0", "#555555", "#c44e52"
_BINS = 40


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    distribution: Distribution
    unit: str
    limit: int | None = None
    limit_name: str = ""


def _bins(distribution: Distribution) -> list[float]:
    lowest, highest = min(distribution.counts), max(distribution.counts)
    if highest - lowest < _BINS:  # one bar for each number
        return [value - 0.5 for value in range(lowest, highest + 2)]
    step = (highest - lowest) / _BINS
    return [lowest + step * index for index in range(_BINS + 1)]


def _draw(axes: Any, panel: _Panel) -> None:
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.unit, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    distribution = panel.distribution
    if not distribution.number:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes, color=_GREY)
        return
    values, weights = list(distribution.counts), list(distribution.counts.values())
    axes.hist(values, bins=_bins(distribution), weights=weights, color=_BLUE, edgecolor="white", linewidth=0.3)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="both", nbins=6, integer=True)
    label = f"mean {distribution.mean:,.1f}" if (distribution.mean or 0) < 10 else f"mean {distribution.mean:,.0f}"
    axes.axvline(distribution.mean, color=_GREY, ls=":", lw=1, label=label)
    if panel.limit is not None:
        # Where it is far away it stands in the legend only: the bars matter more.
        near = panel.limit <= 1.5 * max(distribution.counts)
        draw = axes.axvline if near else axes.plot
        draw(
            *((panel.limit,) if near else ([], [])),
            color=_RED,
            ls="--",
            lw=1,
            label=f"{panel.limit_name} {panel.limit:,}",
        )
    axes.legend(fontsize=7, framealpha=0.85)


def draw_histograms(figures: Figures, options: BuildOptions, title: str) -> Figure:
    """Draw the distributions of a build, each with the limit that holds for it."""
    from matplotlib.figure import Figure

    panels = (
        _Panel("segments of an example", figures.segments_per_example, "segments"),
        _Panel("segments", figures.segment_tokens, "tokens", options.eta, "eta"),
        _Panel("summaries", figures.summary_tokens, "tokens", options.summary_budget, "budget"),
        _Panel("InftyThink rows", figures.instance_tokens, "tokens", options.max_length, "max_length"),
        _Panel("vanilla rows", figures.vanilla_tokens, "tokens", options.max_length, "max_length"),
    )
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    figure.suptitle(one_line_text(title), fontsize=11, parse_math=False)
    *places, axes = figure.subplots(2, 3).flat
    for place, panel in zip(places, panels, strict=True):
        _draw(place, panel)
    axes.set_title("where segments end", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    cuts = figures.cuts.most_common()[::-1]
    bars = axes.barh([name for name, _ in cuts], [number for _, number in cuts], color=_BLUE)
    axes.bar_label(bars, labels=[f" {number:,}" for _, number in cuts], fontsize=8)
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.set_xlabel("segments", fontsize=8)
    return figure


def histogram_png(figures: Figures, options: BuildOptions, title: str) -> bytes:
    """The picture as a file's bytes, the same for the same figures."""
    buffer = io.BytesIO()
    draw_histograms(figures, options, title).savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
