"""Training rows as parquet files of a bounded number of rows, the same bytes for the same rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from datasets_build.instances import Instance, Tokens

__all__ = ["ShardWriter"]

_GROUP = 200  # rows held in memory, and a row group of the file


def _schema() -> Any:
    import pyarrow as pa

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    tokens = pa.struct([(name, pa.int64()) for name in Tokens.__annotations__])
    columns = [("prompt", messages), ("completion", messages), ("source", pa.string()), ("uuid", pa.string())]
    columns += [("epoch", pa.int64()), ("epochs", pa.int64()), ("eta", pa.int64()), ("protocol", pa.string())]
    return pa.schema([*columns, ("tokens", tokens)])


class ShardWriter:
    """Writes rows into ``folder/train-00000.parquet``, ``train-00001.parquet``, ...

    The files appear all at once when the writer is closed, in place of those that were there; one that is left by an
    exception, or never closed, changes nothing. There is always at least one file, which may be without rows.

    Args:
        folder: where the files go.
        rows: rows of one file.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder, self._limit = folder, rows
        self._partial = folder.with_name(f".{folder.name}.partial")
        self._schema = _schema()
        self._waiting: list[Instance] = []
        self._file: Any = None
        self._in_file = self._files = 0

    def __enter__(self) -> Self:
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._open()
        return self

    def _open(self) -> None:
        import pyarrow.parquet as pq

        path = self._partial / f"train-{self._files:05d}.parquet"
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._files, self._in_file = self._files + 1, 0

    def add(self, rows: Iterable[Instance]) -> None:
        """Write rows behind those before."""
        for row in rows:
            if self._in_file + len(self._waiting) == self._limit:
                self._flush()
                self._file.close()
                self._open()
            self._waiting.append(row)
            if len(self._waiting) == _GROUP:
                self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._file.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
            self._in_file += len(self._waiting)
            self._waiting.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._file.close()
        if kind is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        for path in self._partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(self._folder, ignore_errors=True)
        self._partial.rename(self._folder)
