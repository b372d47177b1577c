"""Text of models and data sets does nothing to terminals, pictures, pages and Markdown but to be read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from datasets_build.pipeline.distributions import Figures
from datasets_build.pipeline.histograms import draw_histograms
from datasets_build.pipeline.options import BuildOptions
from datasets_build.sources.funnel import Funnel
from inftythink_graph.errors import one_line
from inftythink_graph.plain_text import escaped, printable, printable_json
from inftythink_graph.progress import ProgressView, say
from inftythink_graph.state import no_usage
from inftythink_graph.view import show_result
from sft.picture import draw

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import web_chat_view

HOSTILE = "\x1b]0;owned\x07\x1b[31m[/red][bold]$x_{$ \u202etxt.exe\u2066 \x9b2J\r<script>|`x`\x00"
DANGEROUS = set("\x1b\x07\u202e\u2066\x9b\x00\r")


def _terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_printable_text_keeps_its_words_and_loses_its_power() -> None:
    for shown in (printable(HOSTILE), escaped(HOSTILE), one_line(ValueError(HOSTILE)), printable_json(HOSTILE)):
        assert not DANGEROUS & set(shown)
        assert "owned" in shown
    assert printable("a\n\tb", "\n\t") == "a\n\tb"
    assert "\n" not in escaped("a\nb")
    assert one_line(ValueError("")) == "ValueError"


def test_json_says_the_same() -> None:
    value = {"text": HOSTILE + "\U0001f600\ud800 \u2028é", "n": [1, None]}
    assert json.loads(printable_json(value)) == value
    assert "é" in printable_json(value)


def test_views_show_hostile_text_as_text() -> None:
    console = _terminal()
    result: Any = {"status": "answered", "answer": HOSTILE, "conclusion": HOSTILE, "epochs": 1, "usage": no_usage()}
    show_result(console, result, window=64)
    say(console, f"report: {HOSTILE}")
    ProgressView(console).say(HOSTILE)
    funnel = Funnel()
    funnel.lose("rows", HOSTILE, detail=HOSTILE)
    console.print(funnel.table())
    shown = _written(console)
    assert not DANGEROUS & set(shown)
    assert shown.count("[bold]") >= 5


def test_progress_titles_are_no_markup() -> None:
    view = ProgressView(_terminal(), title=HOSTILE)
    view._begin(2)
    view._show(0.0, 1, lambda: "[/nothing]")
    view._end("")
    assert "owned" in _written(view.console)
    assert not {"\x07", "\u202e", "\x9b"} & set(_written(view.console))


def test_pictures_read_no_formulas() -> None:
    title = "$x_{$ and $\\frac"
    options = BuildOptions(source="x.jsonl", tokenizer="t", output="o")
    histograms = draw_histograms(Figures(), options, title)
    histograms.savefig(io.BytesIO(), format="svg")
    training = draw([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}], title)
    training.savefig(io.BytesIO(), format="svg")
    assert [figure.get_suptitle() for figure in (histograms, training)] == [title, title]


def test_markdown_of_a_funnel_holds_its_cells() -> None:
    funnel = Funnel()
    funnel.lose("rows", "a | b\n# <script>")
    row = next(line for line in funnel.markdown().splitlines() if "script" in line)
    assert row.count("|") == 5
    assert "<script>" not in row


@pytest.mark.parametrize("text", [HOSTILE, "<img src=x onerror=alert(1)>"])
def test_the_web_chat_escapes(text: str) -> None:
    run = web_chat_view.Run(status="answered", answer=text, conclusion=text)
    run.epochs.append(web_chat_view.Epoch(1, segment=text, summary=text))
    told = [message["content"] for message in web_chat_view.thoughts(run, "k")] + [web_chat_view.answer_html(run)]
    for html in told:
        assert "<script" not in html
        assert "<img" not in html
        assert not (DANGEROUS - {"\r"}) & set(html)
    assert "&lt;" in told[-1]
