"""Tokenized rows as a compact table, and their fingerprint."""

from __future__ import annotations

import hashlib
import secrets
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["RowTable", "fingerprint"]

_CHUNK = 4_000_000  # tokens: what is kept in memory before it goes to the file
_BATCH = 1000  # rows
_COLUMNS = ("input_ids", "labels")


class RowTable:
    """Grows by rows; 32 bits a token, in a file, so that memory doesn't bound how many there are.

    Args:
        path: the file; None for a table in memory.
        kinds: the names of the rows' kinds, where they have one.
    """

    def __init__(self, path: Path | None = None, *, kinds: Sequence[str] = ()) -> None:
        import pyarrow as pa

        self._path = path
        self._kinds = list(kinds)
        numbers = pa.list_(pa.int32())
        self._schema = pa.schema({name: numbers for name in _COLUMNS} | ({"kind": pa.int8()} if kinds else {}))
        self._sink: Any = None
        self._writer: Any = None
        self._rows = 0
        self._clear()

    def __len__(self) -> int:
        return self._rows

    def _clear(self) -> None:
        self._values = {name: array("i") for name in _COLUMNS}
        self._ends = array("i", [0])
        self._kind = array("b")

    def add(self, item: Mapping[str, Sequence[int]], kind: str = "") -> None:
        """Append a row: its ``input_ids`` and ``labels``, and its kind where the table has kinds."""
        for name in _COLUMNS:
            self._values[name].extend(item[name])
        self._ends.append(len(self._values["input_ids"]))
        if self._kinds:
            self._kind.append(self._kinds.index(kind))
        self._rows += 1
        if self._ends[-1] >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        import numpy as np
        import pyarrow as pa

        if self._writer is None:
            self._sink = pa.BufferOutputStream() if self._path is None else pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_stream(self._sink, self._schema)
        ends = pa.array(np.array(self._ends, dtype=np.int32))
        columns = {
            name: pa.ListArray.from_arrays(ends, pa.array(np.array(values, dtype=np.int32)))
            for name, values in self._values.items()
        }
        if self._kinds:
            columns["kind"] = pa.array(np.array(self._kind, dtype=np.int8))
        self._writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=self._schema))
        self._clear()

    def dataset(self) -> Dataset:
        """The rows as a data set; nothing can be added afterwards."""
        import pyarrow as pa
        from datasets import Dataset

        self._flush()
        self._writer.close()
        if self._path is not None:
            self._sink.close()
            return Dataset.from_file(str(self._path))
        table = pa.ipc.open_stream(self._sink.getvalue()).read_all()
        # With no name of its own, a data set in memory would be pickled as a whole to give it one.
        return Dataset(table, fingerprint=secrets.token_hex(8))


def fingerprint(rows: Dataset) -> str:
    """A hash over the token ids and labels of all rows in their order: what is trained on, to the last token."""
    import numpy as np

    table = rows.with_format("arrow")
    hashes = {name: hashlib.sha256() for name in ("lengths", *_COLUMNS)}
    for batch in table.iter(batch_size=_BATCH):
        for name in _COLUMNS:
            column = batch[name].combine_chunks()
            if name == "input_ids":
                hashes["lengths"].update(column.value_lengths().to_numpy().astype(np.int64).tobytes())
            hashes[name].update(column.flatten().to_numpy().astype(np.int32).tobytes())
    joined = hashlib.sha256(b"".join(each.digest() for each in hashes.values()))
    return f"sha256:{joined.hexdigest()[:32]}"
