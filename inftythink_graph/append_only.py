"""A file of lines that is only ever added to, and survives being killed at any moment.

One process writes it. A line is one write; once :meth:`AppendOnlyFile.append` returns, a kill of the process can't take
it back. A write that fails, on a full disk for example, is taken back as a whole.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from inftythink_graph.errors import InftyThinkError, InvalidInputError

__all__ = ["AppendOnlyFile", "JournalBusyError", "JournalError", "JournalWriteError"]

_LOG = logging.getLogger(__name__)


class JournalError(InftyThinkError):
    """Base of the errors of files that are only added to."""


class JournalBusyError(JournalError):
    """Another process, or another part of this one, writes the file already."""


class JournalWriteError(JournalError, OSError):
    """A line could not be written, for example because the disk is full. All earlier lines are untouched."""

    def __str__(self) -> str:
        return str(self.strerror)  # one line, without the number in front


class AppendOnlyFile:
    """The file, open for writing. Safe to use from several threads.

    Args:
        path: the file; made, with its folders, where there is none. ``path`` + ``.lock`` beside it keeps others out.
        accept: called when the file is opened, with number (from 1), place in bytes and content of each line; whether
            the line is one of its kind. A last line that isn't, or that lacks its line feed and isn't, was torn by a
            kill and is cut off. Lines before it that aren't stay where they are; ``accept`` may raise for them.
        fsync: seconds between two syncs to the disk: 0 syncs every line, None leaves it to the system until
            :meth:`close`. Only a crash of the machine can lose what isn't synced; a killed process loses nothing.

    Attributes:
        path: the file.
        repaired: bytes of a torn last line that were cut off when the file was opened.

    Raises:
        InvalidInputError: ``fsync`` is below 0.
        JournalBusyError: the file is open already, here or in another process.
        JournalWriteError: it can't be opened or repaired.
    """

    def __init__(
        self, path: str | Path, accept: Callable[[int, int, bytes, bool], bool], *, fsync: float | None = 1.0
    ) -> None:
        if fsync is not None and fsync < 0:
            raise InvalidInputError(f"fsync must be None or at least 0 seconds, got {fsync}")
        self.path = Path(path)
        self.repaired = 0
        self._fsync = fsync
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
            self._open(accept)
        except OSError as error:
            self._release()
            raise self._failed(error) from error
        except BaseException:
            self._release()
            raise

    def _open(self, accept: Callable[[int, int, bytes, bool], bool]) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._file).st_size
        with os.fdopen(os.dup(self._file), "rb") as file:
            self._scan(file, accept)
        if self._end < size:
            self.repaired = size - self._end
            _LOG.warning("%s: its last line was torn; cut off its %d bytes", self.path, self.repaired)
            os.ftruncate(self._file, self._end)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's own entry
        finally:
            os.close(folder)

    def _scan(self, lines: Any, accept: Callable[[int, int, bytes, bool], bool]) -> None:
        """Show each line to ``accept``. Sets ``_end`` behind the last one that is whole."""
        for number, line in enumerate(lines, 1):
            start, whole = self._end, line.endswith(b"\n")
            accepted = accept(number, start, line, whole)
            if accepted or whole:
                self._end = start + len(line)
            if accepted and not whole:  # all of it but the line feed was written
                os.pwrite(self._file, b"\n", self._end)
                self._end += 1
                break  # before the line feed is read as a line of its own

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

    def append(self, line: bytes, noted: Callable[[int], None] | None = None) -> None:
        """Write a line, given with its line feed.

        Args:
            line: the line.
            noted: called with the place of the line in bytes, once it is written, before any other line is.

        Raises:
            JournalWriteError: it could not be written, or not synced. What was written of it is taken back, and it may
                be tried again.
        """
        with self._mutex:
            self.check_open()
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
            if noted is not None:
                noted(before)

    def read(self, size: int, place: int) -> bytes:
        """At most ``size`` bytes from a place in the file."""
        self.check_open()
        return os.pread(self._file, size, place)

    def check_open(self) -> None:
        """Raise :class:`JournalError` where the file was closed."""
        if self._file < 0:
            raise JournalError(f"{self.path} was closed")

    def _cut_off(self, cause: OSError | None = None) -> None:
        """Remove the part of a line that was written before its write failed."""
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

    def _failed(self, error: OSError) -> JournalWriteError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "make room and run the same command again" if full else "see to it and run the same command again"
        message = f"{self.path} can't be written ({reason}); all that was written before is kept: {advice}"
        return JournalWriteError(error.errno or 0, message)
