"""A run's log as JSON lines, for whatever collects logs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TextIO

from inftythink_graph.progress import LINE_EVERY
from inftythink_graph.runner.endpoints import Endpoint, EndpointPool
from inftythink_graph.runner.faults import Fault
from inftythink_graph.runner.observers import Observer
from inftythink_graph.runner.tally import Tally

__all__ = ["RunLog"]


class RunLog(Observer):
    """Writes a JSON object a line, with ``time`` (ISO 8601, UTC) and ``event``.

    ``begin`` and ``end`` hold the counts of the run, ``progress`` as well, now and then; ``fault`` names server and
    fault; ``finished`` a question's place, id, status, epochs and tokens. No text of questions or answers is logged.

    Args:
        stream: where to; None is the standard error.
        every: seconds between two lines of progress.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float = LINE_EVERY) -> None:
        self._stream = stream or sys.stderr
        self._every, self._last = every, time.monotonic()
        self._under_way = 0
        self._tally = Tally()

    def _write(self, event: str, **facts: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        print(json.dumps(line), file=self._stream, flush=True)

    def _counts(self) -> dict[str, Any]:
        counts = {item.name: getattr(self._tally, item.name) for item in fields(self._tally)}
        return {**counts, "finished": self._tally.finished, "under_way": self._under_way}

    def begin(self, tally: Tally, pool: EndpointPool) -> None:
        """The run starts."""
        self._tally = tally
        self._write("begin", servers=[endpoint.name for endpoint in pool.endpoints], **self._counts())

    def started(self) -> None:
        """One more is under way."""
        self._under_way += 1

    def replied(self, usage: Mapping[str, Any] | None) -> None:
        """Now and then, how the run stands."""
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self._write("progress", **self._counts())

    def met_fault(self, endpoint: Endpoint, fault: Fault) -> None:
        """A request met a fault."""
        self._write("fault", server=endpoint.name, fault=fault, limit=round(endpoint.gate.limit, 1), up=endpoint.up)

    def finished(self, result: Mapping[str, Any]) -> None:
        """A question is finished."""
        self._under_way -= 1
        facts = {name: result[name] for name in ("index", "id", "status", "epochs", "error") if name in result}
        usage = result.get("usage")
        self._write("finished", **facts, **({"completion_tokens": usage["completion_tokens"]} if usage else {}))

    def end(self) -> None:
        """The run is over."""
        self._write("end", **self._counts())
