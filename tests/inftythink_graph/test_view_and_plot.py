"""What a run looks like: terminal view and sawtooth."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from inftythink_graph import InvalidInputError, Protocol, create_inftythink_graph
from inftythink_graph.plot import draw_sawtooth, save_sawtooth, sawtooth
from inftythink_graph.view import RunView, plain, show_result, vanilla_cost

NATIVE = Protocol()
SCRIPT = [
    NATIVE.completion("first [bold]thought[/bold]", summary="S1 [red]x[/red]"),
    NATIVE.completion("second", summary="S2"),
    NATIVE.completion("third", conclusion="It is \\boxed{7}."),
]


def test_the_sawtooth_starts_anew_with_every_request() -> None:
    curve = sawtooth([(10, 5), (12, 6), (11, 0)])
    assert curve.generated == (0, 5, 5, 11, 11, 11)
    assert curve.context == (10, 15, 12, 18, 11, 11)
    assert curve.prompt == 10


def test_the_plot_shows_windows_and_where_one_chain_is_cut() -> None:
    figure = draw_sawtooth(sawtooth([(10, 50)] * 9), window=80, vanilla_window=320)
    (axes,) = figure.axes
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["one long chain", "InftyThink", "cut at its window"]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["InftyThink"].get_ydata()) == [10, 60] * 9
    assert list(lines["one long chain"].get_ydata()) == [10, 460]
    assert [text.get_text() for text in axes.texts] == [
        "context window: 80 tokens",
        "the vanilla model's window: 320 tokens",
    ]
    assert axes.get_ylim()[1] > 320


def test_files_and_what_is_refused(tmp_path: Path, scripted: Callable[..., Any]) -> None:
    result = create_inftythink_graph(scripted(*SCRIPT), protocol="native", keep_trace=True).invoke({"question": "q"})
    save_sawtooth(tmp_path / "run.png", result["trace"], window=100)
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidInputError, match="png"):
        save_sawtooth(tmp_path / "run.exe", result["trace"])
    with pytest.raises(InvalidInputError, match="no token counts"):
        draw_sawtooth(sawtooth([]))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_view_shows_every_epoch_and_takes_no_markup_from_the_model(
    scripted: Callable[..., Any], terminal: bool
) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=110, legacy_windows=False)
    graph = create_inftythink_graph(scripted(*SCRIPT), protocol="native", keep_trace=True)
    view = RunView(console, window=100, max_epochs=50)
    result = view.watch(graph, "q")
    show_result(console, result, window=100)
    text = out.getvalue()
    assert result["answer"] == "7"
    assert "[red]x[/red]" in text
    assert "It is \\boxed{7}." in text
    assert "answered: 7" in text
    if not terminal:
        assert [f"epoch {n:>3}" in text for n in (1, 2, 3)] == [True] * 3
        assert text.count("epoch   1") == 1


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert plain("a\x1b[31mb\u202ec\x07").plain == "a�[31mb�c�"
    assert plain("one\ntwo   three", 8).plain == "one two…"


def test_one_chain_costs_its_whole_length_squared(scripted: Callable[..., Any]) -> None:
    result = create_inftythink_graph(scripted(*SCRIPT), protocol="native", keep_trace=True).invoke({"question": "q"})
    pairs = [pair for record in result["trace"] for pair in record["contexts"]]
    context = pairs[0][0] + sum(completion for _, completion in pairs)
    assert vanilla_cost(result["trace"]) == (context, context**2)
