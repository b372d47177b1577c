"""Tokenized rows as a compact table, and their fingerprint."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["RowTable", "fingerprint"]

_CHUNK = 10_000  # rows
_COLUMNS = ("input_ids", "labels")


class RowTable:
    """Grows by rows; 32 bits a token, where lists of Python numbers take 64 and more."""

    def __init__(self, *, kinds: Sequence[str] = ()) -> None:
        self._kinds = list(kinds)
        self._chunks: list[Any] = []
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
        if len(self._ends) > _CHUNK:
            self._close()

    def _close(self) -> None:
        import numpy as np
        import pyarrow as pa

        if len(self._ends) == 1:
            return
        ends = pa.array(np.array(self._ends, dtype=np.int32))
        columns = {
            name: pa.ListArray.from_arrays(ends, pa.array(np.array(values, dtype=np.int32)))
            for name, values in self._values.items()
        }
        if self._kinds:
            columns["kind"] = pa.array(np.array(self._kind, dtype=np.int8))
        self._chunks.append(pa.RecordBatch.from_pydict(columns))
        self._clear()

    def dataset(self) -> Dataset:
        """The rows as a data set."""
        import pyarrow as pa
        from datasets import Dataset

        self._close()
        return Dataset(pa.Table.from_batches(self._chunks))


def fingerprint(rows: Dataset) -> str:
    """A hash over the token ids and labels of all rows in their order: what is trained on, to the last token."""
    import numpy as np

    table = rows.with_format("arrow")
    hashes = {name: hashlib.sha256() for name in ("lengths", *_COLUMNS)}
    for batch in table.iter(batch_size=_CHUNK):
        for name in _COLUMNS:
            column = batch[name].combine_chunks()
            if name == "input_ids":
                hashes["lengths"].update(column.value_lengths().to_numpy().astype(np.int64).tobytes())
            hashes[name].update(column.flatten().to_numpy().astype(np.int32).tobytes())
    joined = hashlib.sha256(b"".join(each.digest() for each in hashes.values()))
    return f"sha256:{joined.hexdigest()[:32]}"
