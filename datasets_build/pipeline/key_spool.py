"""The keys of a run's examples in their order, on disk: a source may have more than fit into memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator

__all__ = ["KeySpool"]

_IN_MEMORY = 1 << 22  # bytes before the disk is used


class KeySpool:
    """Keys in the order in which they were added."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - lives as long as the spool

    def add(self, key: str) -> None:
        """Add a key behind the others."""
        self._file.write(json.dumps(key).encode() + b"\n")

    def __iter__(self) -> Iterator[str]:
        """The keys; nothing may be added meanwhile."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)
