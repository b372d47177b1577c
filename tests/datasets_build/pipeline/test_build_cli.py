"""``inftythink build-data``: options, recipes, exit codes, and one line for whatever can't be done."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from datasets_build.pipeline import build as pipeline
from datasets_build.pipeline import cli as build_cli
from datasets_build.pipeline.cli import build_parser, main, parse
from datasets_build.pipeline.options import ABOUT, FREE, SHAPING, BuildOptions
from inftythink_graph.cli import main as inftythink
from inftythink_graph.models import bundled_path

DATA = Path(__file__).parents[2] / "data"
TOKENIZER = str(bundled_path())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    chains = ["\n\n".join(f"Step {i}: add {i} to {n}, which makes {i + n}." for i in range(8)) for n in range(3)]
    rows = [{"question": f"Q{n}?", "response": f"<think>{chain}</think>So {n}."} for n, chain in enumerate(chains)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"question": "torn')
    return path


def _words(source: Path | str, output: Path | str, *more: str) -> list[str]:
    small = ["--eta", "96", "--summary-budget", "48", "--max-length", "500"]
    return [str(source), "--tokenizer", TOKENIZER, "--output", str(output), *small, *more]


def test_a_newcomer_sees_the_whole_pipeline_without_a_server(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inftythink(["build-data", *_words(source, tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert "a preview: the summaries are extracts" in shown.out
    assert "torn last line" in shown.out
    assert "report.md" in shown.out
    assert "rows 4 of 4" in shown.err
    rows = pq.read_table(tmp_path / "out" / "data").to_pylist()
    assert len(rows) > 3
    assert all(row["tokens"]["segment"] <= 96 and row["tokens"]["summary_out"] <= 48 for row in rows)


def test_a_dry_run_tells_the_costs_and_writes_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main([*_words(source, tmp_path / "out", "--dry-run", "--limit", "2")]) == 0
    shown = capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    for part in ("rows", "segments: ", "requests: ", "for 2 rows, about ", "prompt tokens to compute", "nothing was"):
        assert part in shown, part


def test_the_recipe_is_read_and_the_command_line_overrides_it(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "source: a/b\ntokenizer: t\noutput: o\neta: 2048\nbase_url: [http://x/v1]\ncolumns: {answer: a}\n"
    )
    options = parse(["--config", str(recipe), "--eta", "512", "--base-url", "u1", "--base-url", "u2", "--no-vanilla"])
    assert (options.source, options.eta, options.base_url, options.vanilla) == ("a/b", 512, ["u1", "u2"], False)
    assert (options.columns, options.summarizer_used) == ({"answer": "a"}, "vllm")
    assert parse(["c", "--config", str(recipe), "--columns", "question=q,answer=b"]).columns == {
        "question": "q",
        "answer": "b",
    }


def test_the_configuration_that_is_kept_is_a_recipe_for_the_same(source: Path, tmp_path: Path) -> None:
    assert main([*_words(source, tmp_path / "out"), "--api-key", "secret"]) == 0
    kept = tmp_path / "out" / "config.yaml"
    assert "secret" not in kept.read_text()
    assert parse(["--config", str(kept)]).as_config() == yaml.safe_load(kept.read_text())


def test_the_documentation_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "build-data.md").read_text()
    for item in fields(BuildOptions):
        if item.name == "source":
            continue
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `--{item.name.replace('_', '-')}` |")]
        if isinstance(item.default, int | float) and not isinstance(item.default, bool):
            assert f"| `{item.default}` |" in line


def test_every_option_is_explained_once(capsys: pytest.CaptureFixture[str]) -> None:
    names = [name for group in ABOUT.values() for name in group]
    assert sorted(names) == sorted(item.name for item in fields(BuildOptions))
    assert set(names) >= FREE | SHAPING
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in shown for name in names if name != "source")
    assert "(default: 4096)" in shown


BAD: list[tuple[list[str], str]] = [
    ([], "source is missing"),
    (["a/b"], "tokenizer is missing"),
    (["a/b", "--tokenizer", "t"], "output is missing"),
    (["--sumary-budget", "3"], "unknown key '--sumary-budget' in the command line: did you mean '--summary-budget'?"),
    (["--eta", "many"], "argument --eta: invalid int value: 'many'"),
    (["--mode", "best"], "invalid choice: 'best' (choose from"),
    (["--history", "system"], "argument --history: invalid choice: 'system'"),
    (["a", "b"], "one source at a time; what is 'b'?"),
    (["--config", "no/such.yaml"], "there is no recipe no/such.yaml"),
    (["--columns", "chain=x"], "unknown column role 'chain'; allowed: question"),
    (["S", "--tokenizer", "t", "--output", "o", "--eta", "0"], "eta must be at least 1, got 0"),
    (["S", "--tokenizer", "t", "--output", "o", "--max-length", "4096"], "max_length must be above eta (4096)"),
    (["S", "--tokenizer", "t", "--output", "o", "--top-p", "2"], "top_p must be above 0 and at most 1"),
    (["S", "--tokenizer", "t", "--output", "o", "--limit", "0"], "limit must be at least 1"),
    (["S", "--tokenizer", "t", "--output", "o", "--base-url", "u", "--summarizer", "extractive"], "asks no server"),
    (["S", "--tokenizer", TOKENIZER, "--output", "o", "--summarizer", "chat_model"], "is for Python"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], message: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([str(source) if word == "S" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("inftythink build-data: ")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("sumary_budget: 3", "unknown key 'sumary_budget' in recipe .*: did you mean 'summary_budget'?"),
        ("eta: 1.5", "eta must be of type int, got 1.5"),
        ("base_url: http://x/v1", "base_url must be a list of names, got 'http://x/v1'"),
        ("mode: best", "mode must be one of greedy, optimal, got 'best'"),
        ("selection: best", "selection must be one of first_verified"),
        ("columns: 3", "columns must be a mapping of names to names, got 3"),
        ("- a", "must be a mapping of keys to values"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_what_a_recipe_can_not_mean_is_one_line(
    tmp_path: Path, recipe: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    assert main(["a/b", "--tokenizer", "t", "--output", "o", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error)


def test_a_source_that_can_not_be_read_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"question": "Q')
    assert main(_words(torn, tmp_path / "out")) == 2
    assert "torn last line" in capsys.readouterr().err
    other = tmp_path / "other.jsonl"
    other.write_text('{"a": 1}\n')
    assert main(_words(other, tmp_path / "out")) == 2
    assert "have the columns a" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_source_without_any_usable_chain_ends_with_its_funnel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "Q", "response": "no chain"}) + "\n")
    assert main(_words(path, tmp_path / "out")) == 2
    shown = capsys.readouterr()
    assert "no chain of thought" in shown.out
    assert "no training row came of it" in shown.err


def test_a_server_that_is_not_there_is_one_line_and_can_be_tried_again(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    assert main(_words(source, tmp_path / "out", "--base-url", url)) == 1
    error = capsys.readouterr().err
    assert url in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (KeyboardInterrupt(), "interrupted; what is finished is kept: run the same command again to go on"),
        (OSError(28, "No space left on device"), "No space left on device. What is finished is kept: run the same"),
    ],
)
def test_an_end_before_time_says_how_to_go_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    failure: BaseException, message: str,
) -> None:  # fmt: skip
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(pipeline, "write_output", fail)
    assert main(_words(source, tmp_path / "out")) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error
    monkeypatch.undo()
    assert main(_words(source, tmp_path / "out")) == 0
    assert "(3 from before)" in capsys.readouterr().err


def test_a_scheduler_s_signal_ends_a_run_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    chain = "\n\n".join(f"Step {i}: add {i} to 7, which makes {i + 7}." for i in range(40))
    lines = [json.dumps({"question": f"Q{n}?", "response": f"<think>{chain}</think>So {n}."}) for n in range(200)]
    path.write_text("\n".join(lines))
    journal = tmp_path / "out" / "journal" / "examples.jsonl"
    child = multiprocessing.get_context("fork").Process(target=_run_apart, args=(_words(path, tmp_path / "out"),))
    child.start()
    while child.exitcode is None and not (journal.exists() and journal.stat().st_size):
        child.join(0.02)
    os.kill(child.pid or 0, signal.SIGTERM)
    child.join(60)
    assert child.exitcode == 1
    finished = [json.loads(line) for line in journal.read_text().splitlines()]
    assert 0 < len(finished) < 200
    assert not (tmp_path / "out" / "funnel.json").exists()


def _run_apart(words: list[str]) -> None:
    sys.exit(main(words))


def test_missing_libraries_are_named_before_any_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_cli, "find_spec", lambda name: None if name in ("networkx", "sklearn") else object())
    assert main(_words(source, tmp_path / "out")) == 1
    assert "sklearn, networkx is missing: pip install 'inftythink-graph[preview]'" in capsys.readouterr().err


def test_the_result_is_uploaded_where_asked(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from datasets_build.pipeline import hub_upload

    monkeypatch.setattr(hub_upload, "upload", lambda folder, name, private: f"there/{name}/{private}")
    assert main(_words(source, tmp_path / "out", "--push-to-hub", "me/data", "--private")) == 0
    assert "uploaded: there/me/data/True" in capsys.readouterr().out


def test_the_real_row_format_goes_through(tmp_path: Path) -> None:
    words = ["--tokenizer", TOKENIZER, "--output", str(tmp_path / "out"), "--max-length", "5000"]
    assert main([str(DATA / "openr1_rows.jsonl"), *words]) == 0
    rows = pq.read_table(tmp_path / "out" / "data").to_pylist()
    assert [row["uuid"][-1] for row in rows] == ["1", "2"]


def test_the_reasoner_never_imports_the_builder() -> None:
    code = "import inftythink_graph.cli, sys; print([m for m in sys.modules if m.startswith('datasets_build')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
