"""Which errors of a model call may pass by themselves, and how long to wait for that."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import openai
from langchain_core.exceptions import ModelError
from langchain_core.language_models import BaseChatModel
from langgraph.types import RetryPolicy
from tenacity import retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from inftythink_graph.errors import ServerUnavailableError

__all__ = ["is_transport_error", "name_of", "patience", "retrying"]

_LONGEST_WAIT = 60.0  # seconds
# The openai package speaks through httpx2, clients of other providers through httpx; what they don't wrap counts too.
_TRANSIENT = (
    openai.APIConnectionError,
    openai.RateLimitError,
    openai.InternalServerError,
    httpx.TransportError,
    httpx2.TransportError,
    ConnectionError,
    TimeoutError,
)


def is_transport_error(error: BaseException) -> bool:
    """Whether the same request may succeed later: the server is away, overloaded or broken, not the request."""
    if isinstance(error, ModelError):
        return error.is_retryable
    if isinstance(error, ServerUnavailableError):  # it answers, and refuses for reasons of its own
        return False
    return isinstance(error, _TRANSIENT)


def patience(tries: int = 8, *, backoff: float = 1.0) -> RetryPolicy:
    """A policy for ``create_inftythink_graph(retry_policy=...)`` that waits for a server to come back.

    Args:
        tries: most tries of one request, at least 1.
        backoff: seconds before the second try; doubled for each one after it, up to a minute, and varied at random.
    """
    return RetryPolicy(
        initial_interval=backoff,
        backoff_factor=2.0,
        max_interval=_LONGEST_WAIT,
        max_attempts=tries,
        jitter=True,
        retry_on=is_transport_error,
    )


def retrying(tries: int = 8, *, backoff: float = 1.0) -> dict[str, Any]:
    """The same for a call outside of a graph: arguments of tenacity's ``Retrying`` and ``AsyncRetrying``."""
    return {
        "retry": retry_if_exception(is_transport_error),
        "stop": stop_after_attempt(tries),
        "wait": wait_random_exponential(multiplier=backoff, max=_LONGEST_WAIT),
    }


def name_of(model: BaseChatModel) -> str:
    """The name that a chat model goes by, wherever its class keeps it; "" where it tells none."""
    known = (getattr(model, attribute, None) for attribute in ("model_name", "model", "model_path"))
    return next((each for each in known if isinstance(each, str) and each), "")
