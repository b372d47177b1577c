"""The journal: what was written stays written, whatever happens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inftythink_graph import InvalidInputError
from inftythink_graph.journal import (
    Journal,
    JournalBrokenError,
    JournalBusyError,
    JournalError,
    JournalWriteError,
    read_journal,
)

ROOT = Path(__file__).parents[2]
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_comes_back_after_reopening(tmp_path: Path, records: dict[str, Any]) -> None:
    path = tmp_path / f"{time.monotonic_ns()}.jsonl"
    with Journal(path, fsync=None) as journal:
        for key, value in records.items():
            journal.append(key, value)
            assert journal.get(key) == value
    with Journal(path) as journal:
        assert (len(journal), journal.repaired, journal.broken) == (len(records), 0, 0)
        assert {key: journal.get(key) for key in records} == records
    assert list(read_journal(path)) == list(records.items())


def test_a_file_cut_at_any_byte_keeps_its_whole_records_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "whole.jsonl"
    with Journal(path) as journal:
        for number in range(4):
            journal.append(f"key {number}", {"text": "因此 ü" * number})
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    cut = tmp_path / "cut.jsonl"
    for size in range(len(whole) + 1):
        cut.write_bytes(whole[:size])
        kept = sum(size >= end - 1 for end in ends)  # without its line feed a record is whole all the same
        readable = list(read_journal(cut))
        with Journal(cut, fsync=None) as journal:
            assert len(journal) == kept
            assert [journal.get(key) for key, _ in readable] == [value for _, value in readable]
            assert len(readable) == kept
            journal.append("next", 1)
        assert [key for key, _ in read_journal(cut)] == [*(f"key {number}" for number in range(kept)), "next"]


@pytest.mark.parametrize(
    "broken", [b"{]\n", b"[1]\n", b'{"key": 1, "value": 2}\n', b'{"key": "x"}\n', b"\n", b"\xff\n"]
)
def test_a_broken_line_in_the_middle_is_never_passed_over_in_silence(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.append("a", 1)
    first = path.read_bytes()
    path.write_bytes(first + broken + first.replace(b'"a"', b'"b"'))
    with pytest.raises(JournalBrokenError, match=f"line 2 of .*byte {len(first)}.*on_broken='skip'"):
        Journal(path)
    with pytest.raises(JournalBrokenError, match="line 2"):
        list(read_journal(path))
    with Journal(path, on_broken="skip") as journal:  # the failed opening has let go of the lock
        assert (journal.broken, journal.get("a"), journal.get("b")) == (1, 1, 1)
        journal.append("c", 3)
        assert journal.get("c") == 3
    assert broken in path.read_bytes()


def test_a_repair_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"key":"a","value":1}\n{"key":"b","va')
    with Journal(path) as journal:
        assert (journal.repaired, "b" in journal, len(journal)) == (14, False, 1)
    assert "torn" in caplog.text


def test_the_later_value_of_a_key_counts(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append("a", 1)
        journal.append("a", 2)
        assert (journal.get("a"), len(journal), journal.get("b")) == (2, 1, None)


def test_two_writers_are_refused_in_one_process_and_in_two(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    other = f"from inftythink_graph.journal import Journal; Journal({str(path)!r})"
    with Journal(path):
        with pytest.raises(JournalBusyError, match=r"j\.jsonl is being written already"):
            Journal(path)
        run = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, cwd=ROOT, check=False)
        assert run.returncode
        assert "JournalBusyError" in run.stderr
    Journal(path).close()


def test_a_journal_may_be_closed_in_another_thread(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    thread = threading.Thread(target=journal.close)
    thread.start()
    thread.join()
    with pytest.raises(JournalError, match="was closed"):
        journal.append("a", 1)
    Journal(tmp_path / "j.jsonl").close()


WRITER = """
import sys
from inftythink_graph.journal import Journal
journal = Journal(sys.argv[1], fsync=None)
for number in range(len(journal), 10**9):
    journal.append(f"key {number}", "x" * (number % 7000))
    print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_reported(tmp_path: Path) -> None:
    path, rng, reported = tmp_path / "j.jsonl", random.Random(0), -1
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout
            assert process.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.2))
            process.send_signal(signal.SIGKILL)
            reported = max([reported, *(int(line) for line in process.stdout.read().split(b"\n")[:-1])])
    with Journal(path) as journal:
        assert reported < len(journal)
        assert all(journal.get(f"key {number}") == "x" * (number % 7000) for number in range(len(journal)))
    assert [key for key, _ in read_journal(path)] == [f"key {number}" for number in range(len(journal))]


LIMITED = """
import resource, sys
from inftythink_graph.journal import Journal, JournalWriteError
journal = Journal(sys.argv[1])
journal.append("a", "x" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    journal.append("b", "x" * 2000)
except JournalWriteError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("c", "y")
print(journal.get("a") == "x" * 100, "b" in journal, journal.get("c"))
"""


def test_a_record_that_the_system_took_only_half_of_is_taken_back(tmp_path: Path) -> None:
    """The kernel itself writes part of the record and then refuses the rest."""
    path = tmp_path / "j.jsonl"
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    message, values = run.stdout.splitlines()
    assert "can't be written (File too large); all that was written before is kept: make room" in message
    assert values == "True False y"
    assert [key for key, _ in read_journal(path)] == ["a", "c"]


def test_a_full_disk_is_a_clear_error_even_where_the_half_record_cant_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pwrite = tmp_path / "j.jsonl", os.pwrite

    def full(file: int, data: bytes, offset: int) -> int:
        if len(data) > 5:
            return pwrite(file, data[:5], offset)
        raise OSError(28, "No space left on device")

    def refuse(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(path)
    journal.append("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(JournalWriteError, match=r"No space left on device.*run the same command again"):
            journal.append("b", "long" * 50)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(JournalWriteError, match="No space left"):
            journal.append("b", "long" * 50)
    assert "b" not in journal
    journal.append("c", 3)  # there is room again
    journal.close()
    assert dict(read_journal(path)) == {"a": 1, "c": 3}


def test_a_half_record_that_stayed_is_repaired_on_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pwrite = tmp_path / "j.jsonl", os.pwrite

    def partial(file: int, data: bytes, offset: int) -> int:
        pwrite(file, data[:7], offset)
        raise OSError(28, "No space left on device")

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(path)
    journal.append("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", partial)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(JournalWriteError):
            journal.append("b", 2)
    journal.close()
    with Journal(path) as journal:
        assert (journal.repaired, len(journal)) == (7, 1)


def test_a_refused_sync_takes_the_record_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    with Journal(tmp_path / "j.jsonl", fsync=0) as journal:
        journal.append("a", 1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(JournalWriteError, match="Input/output error"):
                journal.append("b", 2)
        assert ("b" in journal, journal.get("a")) == (False, 1)
        journal.append("b", 3)
    assert list(read_journal(tmp_path / "j.jsonl")) == [("a", 1), ("b", 3)]


@pytest.mark.parametrize(("fsync", "syncs"), [(0, 5), (None, 1), (3600.0, 1)])
def test_the_sync_policy_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: float | None, syncs: int
) -> None:
    journal, count, real = Journal(tmp_path / "j.jsonl", fsync=fsync), [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (count.append(file), real(file)))
    for number in range(5):
        journal.append(str(number), number)
    journal.close()
    assert len(count) == syncs


def test_values_that_are_no_json_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        for value in (object(), float("nan")):
            with pytest.raises((TypeError, ValueError)):
                journal.append("a", value)
        assert path.stat().st_size == 0


def test_options_and_places_that_cant_be_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="fsync must be"):
        Journal(tmp_path / "j", fsync=-1)
    with pytest.raises(InvalidInputError, match="'raise' or 'skip'"):
        Journal(tmp_path / "j", on_broken="ignore")
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalWriteError, match="can't be written"):
        Journal(tmp_path / "file" / "j.jsonl")


def test_memory_holds_places_not_contents(tmp_path: Path) -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        with Journal(tmp_path / "j.jsonl", fsync=None) as journal:
            for number in range(500):
                journal.append(f"key {number}", "x" * 20_000)
            held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "j.jsonl").stat().st_size > 10_000_000
    assert held < 1_000_000


# The request cache on top
