"""The command line, on the bundled model: what it prints, draws and refuses."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path

import pytest

from inftythink_graph.cli import main

QUESTION = "Multiply 25 by 40 by repeated addition."


def test_solve_prints_answer_epochs_and_context(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "run.png"
    assert main(["solve", QUESTION, "--plot", str(plot)]) == 0
    out = capsys.readouterr().out
    assert "answered: 1000" in out
    assert "epoch   1" in out
    assert "(window 256)" in out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", QUESTION, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["answer"], result["status"]) == ("1000", "answered")
    assert len(result["trace"]) == result["epochs"] > 1
    assert result["usage"]["peak_context"] <= 256


def test_a_smaller_eta_cuts_segments_and_still_answers(capsys: pytest.CaptureFixture[str]) -> None:
    question = "What is the greatest common divisor of 84 and 36?"
    assert main(["solve", question, "--json", "--eta", "45"]) == 0
    result = json.loads(capsys.readouterr().out)
    cut = [record for record in result["trace"] if record["kind"] == "cut"]
    assert cut
    assert all(record["segment"] and record["summary"].startswith("The pair is now (") for record in cut)
    assert (result["answer"], result["status"]) == ("12", "answered")


def test_the_question_can_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(QUESTION))
    assert main(["solve", "-", "--json", "--gold", "1000"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "answered"


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", ""], "the question is empty"),
        (["solve", "q", "--eta", "0"], "eta must be at least 1, got 0"),
        (["solve", "q", "--max-epochs", "0"], "max_epochs must be at least 1, got 0"),
        (["solve", "q", "--eta", "4000"], "lower eta to at most"),
        (["solve", "q", "--model", "/no/such/folder"], "/no/such/folder is no folder"),
        (["solve", "q", "--plot", "/no/such/folder/x.png"], "does not exist"),
        (["solve", "q", "--protocol", "prompted", "--history", "assistant"], "allowed: history='user'"),
        (["serve", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("inftythink serve: " if arguments[0] == "serve" else "inftythink: ")
    assert len(error.strip().splitlines()) == 1


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{_closed_port()}/v1"
    assert main(["solve", "q", "--base-url", url]) == 2
    error = capsys.readouterr().err
    assert url in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["solve"], ["solve", "q", "--eta", "many"], ["dance"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
