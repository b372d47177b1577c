"""Tokens and time."""

from __future__ import annotations

from typing_extensions import TypedDict  # pydantic makes no JSON schema of typing's before Python 3.12

__all__ = ["Usage", "add_usage", "no_usage", "request_usage"]


class Usage(TypedDict):
    """Tokens and time. A request's context is its prompt and its completion together, in tokens.

    Attributes:
        requests: number of model calls.
        prompt_tokens: tokens of all prompts.
        cached_tokens: those of them that came from the server's prefix cache, where it says so.
        completion_tokens: tokens generated.
        peak_context: the longest context of any request.
        sum_tokens: the sum of all contexts.
        sum_squared_tokens: the sum of their squares: the paper's measure of attention cost (section 3.1).
        seconds: wall-clock time spent waiting for the model.
    """

    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    peak_context: int
    sum_tokens: int
    sum_squared_tokens: int
    seconds: float


def no_usage() -> Usage:
    """Usage before the first request."""
    return Usage(
        requests=0,
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        peak_context=0,
        sum_tokens=0,
        sum_squared_tokens=0,
        seconds=0.0,
    )


def request_usage(prompt: int, completion: int, *, cached: int = 0, seconds: float = 0.0) -> Usage:
    """Usage of one request, from its prompt tokens, its completion tokens, and those of the prompt that were cached."""
    context = prompt + completion
    return Usage(
        requests=1,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        peak_context=context,
        sum_tokens=context,
        sum_squared_tokens=context**2,
        seconds=seconds,
    )


def add_usage(left: Usage, right: Usage) -> Usage:
    """Usage of two stretches of a run together: sums, and the higher of the two peaks."""
    return Usage(
        requests=left["requests"] + right["requests"],
        prompt_tokens=left["prompt_tokens"] + right["prompt_tokens"],
        cached_tokens=left["cached_tokens"] + right["cached_tokens"],
        completion_tokens=left["completion_tokens"] + right["completion_tokens"],
        peak_context=max(left["peak_context"], right["peak_context"]),
        sum_tokens=left["sum_tokens"] + right["sum_tokens"],
        sum_squared_tokens=left["sum_squared_tokens"] + right["sum_squared_tokens"],
        seconds=left["seconds"] + right["seconds"],
    )
