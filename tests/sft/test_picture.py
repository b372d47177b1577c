"""The picture and the log of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sft.picture import PICTURE, curve, draw, main, save_picture, smoothed
from sft.run_log import LOG, history_of, write_log

HISTORY: list[dict[str, Any]] = [
    *(
        {"step": step, "loss": 4 / step, "learning_rate": 1e-3 * (1 - step / 50), "tokens_per_second": 900 + step}
        for step in range(1, 41)
    ),
    *({"step": step, "eval_loss": 5 / step, "eval_rows_right": step / 40} for step in (10, 20, 40)),
    {"step": 20, "eval_generation_accuracy": 0.25},
    {"step": 40, "train_loss": 1.0, "train_runtime": 9.0},
]


def _panels(history: list[dict[str, Any]]) -> list[str]:
    return [axes.get_title(loc="left").partition("   ")[0] for axes in draw(history).axes if axes.get_visible()]


def test_there_is_a_panel_for_everything_that_was_logged_and_for_nothing_else() -> None:
    assert _panels(HISTORY) == ["loss", "held-out problems and rows", "learning rate", "real tokens per second"]
    assert _panels([{"step": 1, "loss": 2.0}]) == ["loss"]
    with pytest.raises(ValueError, match="no loss"):
        draw([{"step": 1, "train_runtime": 3.0}])


def test_the_drawn_losses_are_the_logged_ones() -> None:
    lines = draw(HISTORY).axes[0].get_lines()
    assert list(lines[0].get_xdata()) == list(range(1, 41))
    assert list(lines[0].get_ydata()) == [4 / step for step in range(1, 41)]
    held_out = lines[-1]
    assert (list(held_out.get_xdata()), list(held_out.get_ydata())) == ([10, 20, 40], [0.5, 0.25, 0.125])


def test_a_step_that_a_resumed_run_logs_again_counts_once() -> None:
    again = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "loss": 1.5}, {"step": 3, "loss": 1.0}]
    line = curve(again, "loss")
    assert (line.steps, line.values) == ((1, 2, 3), (3.0, 1.5, 1.0))


def test_smoothing_keeps_length_and_level() -> None:
    assert smoothed([2.0] * 500) == pytest.approx([2.0] * 500)
    assert smoothed([1.0, 5.0]) == [1.0, 5.0]
    noisy = smoothed([0.0, 10.0] * 200)
    assert len(noisy) == 400
    assert all(3 < value < 7 for value in noisy[10:-10])


def test_a_run_is_drawn_from_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(HISTORY, tmp_path)
    assert history_of(tmp_path) == HISTORY
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert main([str(tmp_path / "none")]) == 2
    assert f"has no {LOG}" in capsys.readouterr().err
    (tmp_path / LOG).write_text("{")
    assert main([str(tmp_path)]) == 2


def test_every_line_of_the_log_is_an_entry_of_the_trainer(tmp_path: Path) -> None:
    write_log(HISTORY, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert lines == HISTORY
    assert all(next(iter(line)) == "step" for line in lines)


def test_nothing_to_draw_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert save_picture([{"step": 1, "train_runtime": 1.0}], tmp_path) is None
    assert "no picture" in capsys.readouterr().err
