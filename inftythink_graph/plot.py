"""The sawtooth: context against tokens generated, beside what one long chain would need (paper, figure 1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import InftyThinkError, InvalidInputError
from inftythink_graph.state import EpochRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Sawtooth", "draw_sawtooth", "save_sawtooth", "sawtooth"]


@dataclass(frozen=True, slots=True)
class Sawtooth:
    """The curve of a run.

    Attributes:
        generated: tokens generated so far, over all epochs.
        context: tokens in the context at that point.
        prompt: tokens of the first prompt: where one long chain would start from.
    """

    generated: tuple[int, ...]
    context: tuple[int, ...]
    prompt: int


def sawtooth(contexts: Iterable[tuple[int, int]]) -> Sawtooth:
    """The curve from each request's prompt tokens and completion tokens, in order.

    A request's context grows from its prompt by one token for each token generated; the next request starts anew.
    """
    xs: list[int] = []
    ys: list[int] = []
    total, first = 0, None
    for prompt, completion in contexts:
        first = prompt if first is None else first
        xs += [total, total + completion]
        ys += [prompt, prompt + completion]
        total += completion
    return Sawtooth(tuple(xs), tuple(ys), first or 0)


def draw_sawtooth(curve: Sawtooth, *, window: int | None = None, vanilla_window: int | None = None) -> Figure:
    """Draw a run.

    Args:
        curve: from :func:`sawtooth`.
        window: the model's context window in tokens.
        vanilla_window: the window of the model that thinks in one chain, where it differs.

    Raises:
        InvalidInputError: the run has no token counts.
        InftyThinkError: matplotlib isn't installed.
    """
    if not curve.generated or curve.generated[-1] == 0:
        raise InvalidInputError("nothing to draw: the model reported no token counts")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InftyThinkError("plots need matplotlib; pip install 'inftythink-graph[evaluation]'") from error
    total, peak = curve.generated[-1], max(curve.context)
    limit = vanilla_window or window
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    chain = ([0, total], [curve.prompt, curve.prompt + total])
    axes.plot(*chain, color="#c44e52", ls="--", lw=1.5, label="one long chain")
    axes.plot(curve.generated, curve.context, color="#4c72b0", lw=1.2, label="InftyThink")
    axes.fill_between(curve.generated, curve.context, color="#4c72b0", alpha=0.15, lw=0)
    for value, name in ((window, "context window"), (vanilla_window, "the vanilla model's window")):
        if value and (name == "context window" or value != window):
            axes.axhline(value, color="#555555", ls=":", lw=1)
            place: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "ha": "right", "fontsize": 8}
            axes.annotate(f"{name}: {value:,} tokens", (total, value), **place)
    if limit and curve.prompt + total > limit:
        axes.plot(limit - curve.prompt, limit, "x", color="#c44e52", ms=9, mew=2, label="cut at its window")
    # The chain leaves the picture at the top: what matters is how far the sawtooth stays below the windows.
    axes.set_ylim(0, max(1.35 * (limit or 0), 1.35 * peak))
    axes.set_xlim(0, total)
    axes.set_xlabel("tokens generated")
    axes.set_ylabel("tokens in context")
    share = f", {peak / window:.0%} of the window" if window else ""
    axes.set_title(f"{total:,} tokens of reasoning, never more than {peak:,} in context{share}", fontsize=11)
    axes.legend(loc="center right", fontsize=8, framealpha=0.9)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def save_sawtooth(
    path: str | Path,
    trace: Sequence[EpochRecord],
    *,
    window: int | None = None,
    vanilla_window: int | None = None,
) -> None:
    """Draw a run's trace and write it to a file; its suffix says the format (png, svg, pdf).

    Raises:
        InvalidInputError: the trace is without token counts, or the suffix isn't one that matplotlib writes.
    """
    curve = sawtooth((prompt, completion) for record in trace for prompt, completion in record["contexts"])
    figure = draw_sawtooth(curve, window=window, vanilla_window=vanilla_window)
    allowed = sorted(figure.canvas.get_supported_filetypes())
    suffix = Path(path).suffix.lstrip(".").lower()
    if suffix not in allowed:
        raise InvalidInputError(f"can't draw to {path}: allowed are files that end in {', '.join(allowed)}")
    figure.savefig(path, dpi=150)
