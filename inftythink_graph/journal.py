"""An append-only journal of JSON lines that survives being killed at any moment.

One process writes it. A record is one line, ``{"key": ..., "value": ...}``, in one write; once :meth:`Journal.append`
returns, a kill of the process can't take it back. In memory are the places of the records, not their contents, so that
a journal may be far larger than the memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from inftythink_graph.append_only import AppendOnlyFile, JournalBusyError, JournalError, JournalWriteError
from inftythink_graph.errors import InvalidInputError

__all__ = ["Journal", "JournalBrokenError", "JournalBusyError", "JournalError", "JournalWriteError", "read_journal"]

_CHUNK = 1 << 16


class JournalBrokenError(JournalError, ValueError):
    """A line that is not the last one is no record: the file was changed by something else, or its disk is failing."""


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
        if on_broken not in ("raise", "skip"):
            raise InvalidInputError(f"on_broken must be 'raise' or 'skip', got {on_broken!r}")
        self.path = Path(path)
        self.broken = 0
        self._on_broken = on_broken
        self._offsets: dict[bytes, int] = {}
        self._lines = AppendOnlyFile(path, self._accept, fsync=fsync)

    @property
    def repaired(self) -> int:
        """Bytes of a torn last line that were cut off when the journal was opened."""
        return self._lines.repaired

    def _accept(self, number: int, place: int, line: bytes, whole: bool) -> bool:
        """Note where a record is; whether the line is one."""
        record = _record(line)
        if record is not None:
            self._offsets[_digest(record[0])] = place
            return True
        if whole:
            if self._on_broken == "raise":
                raise _broken(self.path, number, place)
            self.broken += 1
        return False

    def close(self) -> None:
        """Sync to the disk and let others write. Closing twice is fine.

        Raises:
            JournalWriteError: the disk refuses the sync.
        """
        self._lines.close()

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
        digest = _digest(key)
        self._lines.append(line, lambda place: self._offsets.__setitem__(digest, place))

    def get(self, key: str) -> Any:
        """The value of a key, read from the file; None where there is none."""
        offset = self._offsets.get(_digest(key))
        if offset is None:
            return None
        parts, place = [], offset
        while True:
            part = self._lines.read(_CHUNK, place)
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
