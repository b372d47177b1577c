"""What a call of ``ChatInftyThink`` may say, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.state import InftyThinkContext

__all__ = ["SETTINGS", "call_context", "stop_sequences"]

SETTINGS = (
    "max_epochs",
    "max_tokens",
    "eta",
    "summary_budget",
    "temperature",
    "top_p",
    "seed",
    "on_exhausted",
    "on_rejected",
)
"""Options that a call may change for itself."""

_IGNORED = frozenset({"stream", "stream_usage"})  # LangChain's own business: how the model is asked, not what
_REFUSED = {
    "model": "the model is part of the graph; make another ChatInftyThink for another model",
    "n": "a run has one answer; use batch for several",
    "logprobs": "an answer is the end of many completions; ask the model itself",
    "top_logprobs": "an answer is the end of many completions; ask the model itself",
    "response_format": "it would hold the reasoning to the format, too; use with_structured_output, which takes a tool",
    "functions": "give tools",
    "function_call": "give tool_choice",
    "thinking_token_budget": "a segment's budget is eta",
    "protocol": "it belongs to the model; give it when ChatInftyThink is made",
    "verifier": "it belongs to the graph; give it when ChatInftyThink is made",
    "stall_after": "it belongs to the graph; give it when ChatInftyThink is made",
    "on_stall": "it belongs to the graph; give it when ChatInftyThink is made",
    "stall_temperature": "it belongs to the graph; give it when ChatInftyThink is made",
    "keep_trace": "a message has no trace; use the graph, or create_reasoning_tool",
    "include_reasoning": "give it when ChatInftyThink is made",
}


def call_context(options: Mapping[str, Any]) -> InftyThinkContext:
    """The settings of one call, from its keyword arguments.

    Those in :data:`SETTINGS` are the run's own; all others (``tools``, ``tool_choice``, ``extra_body``, ...) go to the
    model with every request that reasons.

    Raises:
        InvalidInputError: an option makes no sense for a run.
    """
    given = {name: value for name, value in options.items() if name not in _IGNORED and value is not None}
    for name in given.keys() & _REFUSED.keys():
        if name == "n" and given[name] == 1:
            continue
        raise InvalidInputError(f"ChatInftyThink has no option {name!r}: {_REFUSED[name]}")
    given.pop("n", None)
    if "max_completion_tokens" in given:  # the newer name of the same
        given.setdefault("max_tokens", given.pop("max_completion_tokens"))
        given.pop("max_completion_tokens", None)
    settings = {name: given.pop(name) for name in SETTINGS if name in given}
    return InftyThinkContext(**settings, call_options=given or None)


def stop_sequences(given: str | list[str] | None, default: list[str] | None) -> list[str]:
    """The stop sequences of a call; its own take the place of the model's.

    Raises:
        InvalidInputError: one of them is empty.
    """
    stop = default if given is None else given
    sequences = [stop] if isinstance(stop, str) else list(stop or [])
    if not all(sequences):
        raise InvalidInputError("a stop sequence must have at least one character")
    return sequences
