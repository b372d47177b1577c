"""What a run came to, so far or in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counts of a run.

    Attributes:
        total: questions that there are; None where nobody knows yet.
        kept: questions that were finished at an earlier start.
        statuses: questions finished at this start, by status; ``failed`` are those that can't be asked.
        epochs: of all questions finished at this start.
        completion_tokens: that the servers generated at this start.
        prompt_tokens: that they read.
        cached_tokens: those of them that came from their prefix caches.
        requests: that were answered at this start.
        replayed: replies of an earlier start that were used again.
        faults: how often each thing befell a server.
        by_endpoint: requests that each server answered.
        seconds: since the start.
    """

    total: int | None = None
    kept: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    epochs: int = 0
    completion_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    requests: int = 0
    replayed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    by_endpoint: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """Questions finished at this start."""
        return self.statuses.total()

    def count_reply(self, usage: Mapping[str, Any] | None) -> None:
        """Count a request that was answered, with LangChain's ``usage_metadata``."""
        self.requests += 1
        if usage:
            self.completion_tokens += usage.get("output_tokens") or 0
            self.prompt_tokens += usage.get("input_tokens") or 0
            self.cached_tokens += (usage.get("input_token_details") or {}).get("cache_read") or 0

    def count_result(self, result: Mapping[str, Any]) -> None:
        """Count a finished question."""
        self.statuses[str(result["status"])] += 1
        self.epochs += result.get("epochs") or 0

    def lines(self) -> list[str]:
        """The final summary."""
        before = f" ({self.kept:,} more before)" if self.kept else ""
        outcomes = ", ".join(f"{count:,} {status}" for status, count in sorted(self.statuses.items()))
        found = [f"questions  {self.finished:,}{before}" + (f": {outcomes}" if outcomes else "")]
        if self.requests:
            share = (
                f", {self.cached_tokens / self.prompt_tokens:.0%} of the prompts cached" if self.cached_tokens else ""
            )
            rate = self.completion_tokens / self.seconds if self.seconds else 0.0
            found.append(f"requests   {self.requests:,}{share}")
            found.append(f"generated  {self.completion_tokens:,} tokens in {self.seconds:,.1f} s, {rate:,.0f} tokens/s")
        if self.finished:
            found.append(f"epochs     {self.epochs / self.finished:.1f} a question")
        if self.replayed:
            found.append(f"resumed    {self.replayed:,} replies of an earlier start were used again")
        if self.faults:
            faults = ", ".join(f"{count:,} x {fault}" for fault, count in sorted(self.faults.items()))
            found.append(f"faults     {faults}; each request was made again")
        if len(self.by_endpoint) > 1:
            shares = ", ".join(f"{name} {count:,}" for name, count in sorted(self.by_endpoint.items()))
            found.append(f"servers    {shares}")
        return found
