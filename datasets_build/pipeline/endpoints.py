"""Several summarizers for one build: the least loaded takes an example and keeps it, for its prefix cache's sake."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.runnables import Runnable

from datasets_build.summaries.nodes import SummarizerInput, SummarizerOutput, SummaryUsage
from inftythink_graph.errors import InvalidInputError, ServerUnavailableError
from inftythink_graph.state import add_usage

__all__ = ["Endpoint", "Endpoints"]

_GIVE_UP = 5


@dataclass(slots=True)
class Endpoint:
    """One summarizer.

    Attributes:
        name: how messages call it.
        summarizer: takes a :class:`SummarizerInput`.
        busy: examples that it works on.
        rests_until: a time of the monotonic clock before which others are preferred, since it gave no reply.
    """

    name: str
    summarizer: Runnable[SummarizerInput, SummarizerOutput]
    busy: int = 0
    rests_until: float = field(default=0.0, repr=False)


class Endpoints:
    """Gives each example to one endpoint; to another one only where that one gives no reply.

    Args:
        endpoints: at least one.
        rest: seconds that an endpoint without a reply is left alone, as long as others are there.

    Raises:
        InvalidInputError: there is none.
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, rest: float = 60.0) -> None:
        if not endpoints:
            raise InvalidInputError("there must be at least one summarizer")
        self.endpoints = list(endpoints)
        self._rest = rest
        self._in_a_row = 0

    def _least_loaded(self, tried: Sequence[Endpoint]) -> Endpoint | None:
        now = time.monotonic()
        left = [each for each in self.endpoints if not any(each is other for other in tried)]
        return min(left, key=lambda each: (each.rests_until > now, each.busy), default=None)

    async def run(self, example: SummarizerInput) -> SummarizerOutput:
        """Summarize one example.

        Raises:
            ServerUnavailableError: several examples in a row got no reply from any endpoint.
        """
        tried: list[Endpoint] = []
        output: SummarizerOutput | None = None
        while (endpoint := self._least_loaded(tried)) is not None:
            tried.append(endpoint)
            endpoint.busy += 1
            try:
                found = await endpoint.summarizer.ainvoke(example)
            finally:
                endpoint.busy -= 1
            output = _together(output, found)
            if output["defect"] != "transport":
                endpoint.rests_until, self._in_a_row = 0.0, 0
                return output
            endpoint.rests_until = time.monotonic() + self._rest
        assert output is not None
        self._in_a_row += 1
        if self._in_a_row >= _GIVE_UP:
            names = ", ".join(each.name for each in self.endpoints)
            raise ServerUnavailableError(
                f"no reply from {names} for {self._in_a_row} examples in a row ({output['reason']}). All replies so far"
                " are kept: see to the server and run the same command again"
            )
        return output


def _together(before: SummarizerOutput | None, now: SummarizerOutput) -> SummarizerOutput:
    """The later output, with what both took."""
    if before is None:
        return now
    earlier, later = before["usage"], now["usage"]
    paid, reused = add_usage(earlier["paid"], later["paid"]), add_usage(earlier["reused"], later["reused"])
    return {**now, "usage": SummaryUsage(paid=paid, reused=reused)}
