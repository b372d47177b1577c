"""Rows of local files, one at a time: memory is bounded by the longest row (JSON) or a batch of rows (parquet).

A line that can't be read is a row with a reason, not an exception: a data set of days of work isn't lost to one torn
line. JSON is read here rather than by ``datasets``, which refuses the whole file for it.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from datasets_build.sources.losses import Loss, Reason
from inftythink_graph.errors import InvalidInputError

__all__ = ["SUFFIXES", "Row", "file_rows", "is_row_file"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz", ".parquet")
"""Files that can be read."""

_LONGEST_LINE = 1 << 28  # bytes: far above any chain of thought, far below a machine's memory
_PIECE = 1 << 20
_BATCH = 32
_WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or why there is none.

    Attributes:
        place: where it stands: ``file:line`` of JSON lines, otherwise ``name, row number``; numbers are 1-based.
        values: the row's values by column; any JSON value where the file holds something else than objects.
        loss: why the row can't be read; None where it can.
        columns: the file's columns, where it knows them apart from its rows.
    """

    place: str
    values: Any = None
    loss: Loss | None = None
    columns: tuple[str, ...] = field(default=(), compare=False)


def is_row_file(name: str) -> bool:
    """Whether a file of that name can be read."""
    return name.lower().endswith(SUFFIXES)


def file_rows(path: Path, columns: Collection[str] | None = None) -> Iterator[Row]:
    """The rows of one file, in its order.

    Args:
        path: a file with one of :data:`SUFFIXES`. A ``.json`` file is a list of objects, or JSON lines after all.
        columns: the columns to read from a parquet file; those it lacks are ignored, None reads all.

    Raises:
        InvalidInputError: the suffix is another one, or a parquet file is damaged.
        OSError: the file can't be read.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        yield from _parquet(path, columns)
    elif name.endswith((".json", ".json.gz")):
        yield from _json(path)
    elif is_row_file(name):
        with _opened(path) as file:
            yield from _lines(path, file)
    else:
        raise InvalidInputError(f"{path} has an unknown suffix; allowed: {', '.join(SUFFIXES)}")


def _opened(path: Path) -> IO[bytes]:
    if path.name.lower().endswith(".gz"):
        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb")


def _lines(path: Path, file: IO[bytes]) -> Iterator[Row]:
    number = 0
    while True:
        number += 1
        place = f"{path.name}:{number}"
        try:
            line = file.readline(_LONGEST_LINE)
            too_long = len(line) == _LONGEST_LINE and not line.endswith(b"\n")
            rest = line
            while too_long and len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
                rest = file.readline(_LONGEST_LINE)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Row(place, loss=Loss(Reason.TORN_FILE, f"{place}: {error}"))
            return
        if not line:
            return
        if too_long:
            yield Row(place, loss=Loss(Reason.LINE_TOO_LONG, f"{place}: over {_LONGEST_LINE} bytes"))
        elif line.removeprefix(codecs.BOM_UTF8).strip():
            yield _parsed(line, place)


def _parsed(line: bytes, place: str) -> Row:
    try:
        return Row(place, json.loads(line.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        reason = Reason.INVALID_JSON if line.endswith(b"\n") else Reason.TORN_LINE
        return Row(place, loss=Loss(reason, f"{place}: {_short(error)}"))


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _json(path: Path) -> Iterator[Row]:
    with _opened(path) as file:
        try:
            head = file.read(_PIECE).decode("utf-8-sig", errors="ignore").lstrip(_WHITE)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Row(f"{path.name}, row 1", loss=Loss(Reason.TORN_FILE, f"{path.name}: {error}"))
            return
    with _opened(path) as file:
        if not head.startswith("["):
            yield from _lines(path, file)
        else:
            yield from _array(path, file)


class _Text:
    """A file's text, read piece by piece as far as it is needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.buffer = ""
        self.ended = False

    def grow(self) -> None:
        """Read on: as much as there is already, so that a long row isn't parsed more than a few times."""
        piece = self._file.read(max(_PIECE, len(self.buffer)))
        self.ended = not piece
        self.buffer += self._decoder.decode(piece, final=self.ended)

    def skip(self, characters: str) -> str:
        """Leave out the given characters; the next one, "" at the end."""
        while True:
            self.buffer = self.buffer.lstrip(characters)
            if self.buffer or self.ended:
                return self.buffer[:1]
            self.grow()


def _array(path: Path, file: IO[bytes]) -> Iterator[Row]:
    """The objects of a JSON list, parsed one by one."""
    decoder, text, number = json.JSONDecoder(), _Text(file), 0
    try:
        text.skip(_WHITE)
        text.buffer = text.buffer[1:]
        while (following := text.skip(_WHITE + ",")) != "]":
            number += 1
            place = f"{path.name}, row {number}"
            while True:
                try:
                    value, end = decoder.raw_decode(text.buffer)
                    # A number may go on in the next piece: only what something follows is whole.
                    if end < len(text.buffer) or text.ended:
                        break
                except (ValueError, RecursionError) as error:
                    if text.ended or len(text.buffer) > _LONGEST_LINE:
                        raise ValueError(_short(error) if following else "the list is never closed") from error
                text.grow()
            text.buffer = text.buffer[end:]
            yield Row(place, value)
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        place = f"{path.name}, row {max(number, 1)}"
        yield Row(place, loss=Loss(Reason.TORN_FILE, f"{place}: {_short(error)}"))


def _parquet(path: Path, columns: Collection[str] | None) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
            wanted = None if columns is None else [name for name in names if name in columns]
            if not wanted and wanted is not None:
                wanted = list(names)  # nothing to go by: the rows will say what is missing
            for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"{path.name}, row {number}", values, columns=names)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise InvalidInputError(f"{path} can't be read as parquet after row {number}: {_short(error)}") from error
