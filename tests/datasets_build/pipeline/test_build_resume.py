"""After a kill, a full disk or a server that went away: nothing is lost, doubled or paid for twice."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_build import Summarizer, build, finished_requests, outcome_of, row, write_rows

from datasets_build.pipeline.records import DEFECTS
from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.journal import JournalWriteError


def _killable(source: Path, output: Path, log: Path) -> None:
    build(source, output, Summarizer(delay=0.01, log=str(log)))


def test_a_build_killed_at_any_moment_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    marks = {3: "(flaky)", 5: "(long)"}
    rows = [row(number, 3 + number % 6, mark=marks.get(number, "")) for number in range(24)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    start = time.monotonic()
    build(source, tmp_path / "undisturbed", Summarizer(delay=0.01))
    seconds = time.monotonic() - start
    context, log, drawn = multiprocessing.get_context("fork"), tmp_path / "log", random.Random(7)
    killed = 0
    for moment in range(5):
        finished = finished_requests(tmp_path / "out")
        log.unlink(missing_ok=True)
        child = context.Process(target=_killable, args=(source, tmp_path / "out", log))
        child.start()
        child.join(seconds * drawn.uniform(0.1, 0.9) if moment < 4 else 120)
        if child.exitcode is None:
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
            killed += 1
        asked = [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []
        assert not finished & set(asked), "a finished request was made again"
        assert max(Counter(asked).values(), default=1) == 1
    assert killed, "no run was killed: the moments are too late"
    assert child.exitcode == 0
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "undisturbed")


def test_a_finished_build_is_written_again_without_a_request(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    before = outcome_of(tmp_path / "out")
    model = Summarizer()
    build(source, tmp_path / "out", model)
    assert (model.questions, outcome_of(tmp_path / "out")) == ([], before)


def test_what_got_no_reply_is_tried_again_and_what_was_rejected_only_if_asked(tmp_path: Path) -> None:
    marks = {1: "(down)", 2: "(long)"}
    source = write_rows(tmp_path / "rows.jsonl", [row(number, mark=marks.get(number, "")) for number in range(4)])
    first = build(source, tmp_path / "out", transport_tries=1)
    assert (first.unanswered, first.complete) == (1, False)
    assert first.report.funnel.losses("examples") == {DEFECTS["transport"]: 1, "summary over budget": 1}
    again = Summarizer(down=False)
    second = build(source, tmp_path / "out", again)
    assert second.complete
    assert {question.partition("?")[0][-1] for question in again.questions} == {"1"}
    retried = Summarizer(down=False)
    build(source, tmp_path / "out", retried, retry_failed=True, max_attempts=6)
    assert {question.partition("?")[0][-1] for question in retried.questions} == {"2"}
    assert len(retried.questions) == 2, "four of the six attempts were paid for already"


def test_a_server_that_goes_away_ends_the_run_and_costs_nothing(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ServerUnavailableError, match=r"no reply from model 1 .*run the same command again"):
        build(source, tmp_path / "out", Summarizer(always_down=True), transport_tries=1)
    result = build(source, tmp_path / "out")
    assert result.complete
    build(source, tmp_path / "undisturbed")
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "undisturbed")


def test_a_full_disk_is_one_line_and_what_is_paid_for_stays(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., int] = os.pwrite
    written_bytes = 0

    def full(file: int, data: bytes, offset: int) -> int:
        nonlocal written_bytes
        if written_bytes > 6000:
            raise OSError(errno.ENOSPC, "No space left on device")
        written_bytes += len(data)
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalWriteError, match="make room and run the same command again"):
        build(source, tmp_path / "out")
    monkeypatch.undo()
    finished = finished_requests(tmp_path / "out")
    assert finished
    log = tmp_path / "log"
    build(source, tmp_path / "out", Summarizer(log=str(log)))
    assert not finished & {line.split()[1] for line in log.read_text().splitlines()}
    build(source, tmp_path / "undisturbed")
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "undisturbed")
