"""An append-only journal of JSON lines that survives being killed at any moment.

One process writes it. A record is one line, ``{"key": ..., "value": ...}``, in one write; once :meth:`Journal.append`
returns, a kill of the process can't take it back. In memory are the places of the records, not their contents, so that
a journal may be far larger than the memory.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from filelock import FileLock, Timeout

from inftythink_graph.errors import InftyThinkError, InvalidInputError

__all__ = ["Journal", "JournalBrokenError", "JournalBusyError", "JournalError", "JournalWriteError", "read_journal"]

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 16


class JournalError(InftyThinkError):
    """Base of the journal's errors."""


class JournalBusyError(JournalError):
    """Another process, or another part of this one, writes the journal already."""


class JournalBrokenError(JournalError, ValueError):
    """A line that is not the last one is no record: the file was changed by something else, or its disk is failing."""


class JournalWriteError(JournalError, OSError):
    """A record could not be written, for example because the disk is full. All earlier records are untouched."""

    def __str__(self) -> str:
        return str(self.strerror)  # one line, without the number in front


def _record(line: bytes) -> tuple[str, Any] | None:
    """The key and the value in a line; None where it is no record."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("key"), str) or "value" not in record:
        return None
    return record["key"], record["value"]


def _digest(key: str) -> bytes:
    # Sixteen bytes whatever the key: what a journal of millions of records keeps in memory.
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def read_journal(path: str | Path) -> Iterator[tuple[str, Any]]:
    """The records of a journal in the order of writing, without opening it for writing; a key may come repeatedly.

    A torn last line is left out.

    Raises:
        FileNotFoundError: there is no such file.
        JournalBrokenError: another line is no record.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            record = _record(line)
            if record is not None:
                yield record
            elif line.endswith(b"\n"):
                raise _broken(Path(path), number, file.tell() - len(line))


def _broken(path: Path, line: int, offset: int) -> JournalBrokenError:
    return JournalBrokenError(
        f"line {line} of {path} (at byte {offset}) is no record of a journal, and it isn't the last line, which a kill"
        " may tear: the file was changed by something else. Restore it, remove that line, or open it with"
        " on_broken='skip' to go on without it"
    )


class Journal:
    """An append-only journal, open for writing. Safe to use from several threads.

    Args:
        path: the file; made, with its folders, where there is none. ``path`` + ``.lock`` beside it keeps others out.
        fsync: seconds between two syncs to the disk: 0 syncs every record, None leaves it to the system until
            :meth:`close`. Only a crash of the machine can lose what isn't synced; a killed process loses nothing.
        on_broken: what to do about a line in the middle that is no record: ``raise``, or ``skip`` it, count it in
            ``broken`` and leave it where it is.

    Attributes:
        path: the file.
        repaired: bytes of a torn last line that were cut off when the journal was opened.
        broken: lines that were skipped.

    Raises:
        InvalidInputError: an option is outside what is allowed.
        JournalBusyError: the journal is open already, here or in another process.
        JournalBrokenError: see ``on_broken``.
        JournalWriteError: the file can't be opened or repaired.
    """

    def __init__(
        self, path: str | Path, *, fsync: float | None = 1.0, on_broken: Literal["raise", "skip"] = "raise"
    ) -> None:
        if fsync is not None and fsync < 0:
            raise InvalidInputError(f"fsync must be None or at least 0 seconds, got {fsync}")
        if on_broken not in ("raise", "skip"):
            raise InvalidInputError(f"on_broken must be 'raise' or 'skip', got {on_broken!r}")
        self.path = Path(path)
        self.repaired, self.broken = 0, 0
        self._fsync, self._on_broken = fsync, on_broken
        self._offsets: dict[bytes, int] = {}
        self._mutex = threading.Lock()
        self._file = -1
        self._end, self._synced, self._last_sync = 0, 0, time.monotonic()
        self._torn = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{self.path}.lock", timeout=0, thread_local=False)
            self._lock.acquire()
        except Timeout:
            raise JournalBusyError(
                f"{self.path} is being written already: wait for that run to end, or give this one another folder"
            ) from None
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._open()
        except OSError as error:
            self._release()
            raise self._failed(error) from error
        except BaseException:
            self._release()
            raise

    # Opening and closing

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._file).st_size
        with os.fdopen(os.dup(self._file), "rb") as file:
            self._scan(file)
        if self._end < size:
            self.repaired = size - self._end
            _LOG.warning("%s: its last line was torn; cut off its %d bytes", self.path, self.repaired)
            os.ftruncate(self._file, self._end)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's own entry
        finally:
            os.close(folder)

    def _scan(self, lines: Any) -> None:
        """Note where each record is. Sets ``_end`` behind the last one that is whole."""
        for number, line in enumerate(lines, 1):
            start, whole = self._end, line.endswith(b"\n")
            record = _record(line)
            if record is not None:
                self._offsets[_digest(record[0])] = start
                self._end = start + len(line)
                if not whole:  # all of it but the line feed was written
                    os.pwrite(self._file, b"\n", self._end)
                    self._end += 1
                    break  # before the line feed is read as a line of its own
            elif whole:
                if self._on_broken == "raise":
                    raise _broken(self.path, number, start)
                self.broken += 1
                self._end = start + len(line)

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._lock.release()

    def close(self) -> None:
        """Sync to the disk and let others write. Closing twice is fine.

        Raises:
            JournalWriteError: the disk refuses the sync.
        """
        with self._mutex:
            if self._file < 0:
                return
            try:
                self._sync()
            finally:
                self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Records

    def append(self, key: str, value: Any) -> None:
        """Write a record. A key that is written again has the later value.

        Raises:
            TypeError, ValueError: the value is no JSON.
            JournalWriteError: it could not be written, or not synced. What was written of it is taken back, and it may
                be tried again.
        """
        line = json.dumps({"key": key, "value": value}, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._mutex:
            self._check_open()
            if self._torn:
                self._cut_off()
            written = 0
            try:
                while written < len(line):
                    written += os.pwrite(self._file, line[written:], self._end + written)
            except OSError as error:
                self._torn = True
                self._cut_off(error)
                raise self._failed(error) from error
            except BaseException:  # an interrupt between two partial writes
                self._torn = True
                raise
            before, self._end = self._end, self._end + len(line)
            if self._fsync is not None and time.monotonic() - self._last_sync >= self._fsync:
                try:
                    self._sync()
                except JournalWriteError:
                    self._end, self._torn = before, True
                    self._cut_off()
                    raise
            self._offsets[_digest(key)] = before

    def _cut_off(self, cause: OSError | None = None) -> None:
        """Remove the part of a record that was written before its write failed."""
        try:
            os.ftruncate(self._file, self._end)
        except OSError as error:  # the next append tries again, and so does the next opening
            raise self._failed(cause or error) from error
        self._torn = False

    def _sync(self) -> None:
        if self._synced == self._end:
            return
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from error
        self._synced, self._last_sync = self._end, time.monotonic()

    def get(self, key: str) -> Any:
        """The value of a key, read from the file; None where there is none."""
        offset = self._offsets.get(_digest(key))
        if offset is None:
            return None
        self._check_open()
        parts, place = [], offset
        while True:
            part = os.pread(self._file, _CHUNK, place)
            head, feed, _ = part.partition(b"\n")
            parts.append(head)
            if feed or not part:
                break
            place += len(part)
        record = _record(b"".join(parts))
        if record is None or record[0] != key:
            raise JournalBrokenError(f"{self.path} changed while it was open: byte {offset} no longer holds {key!r}")
        return record[1]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _digest(key) in self._offsets

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._offsets)

    def _check_open(self) -> None:
        if self._file < 0:
            raise JournalError(f"{self.path} was closed")

    def _failed(self, error: OSError) -> JournalWriteError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "make room and run the same command again" if full else "see to it and run the same command again"
        message = f"{self.path} can't be written ({reason}); all that was written before is kept: {advice}"
        return JournalWriteError(error.errno or 0, message)
