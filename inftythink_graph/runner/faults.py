"""What an error of a request says: about the server, about the question, or about the run as a whole."""

from __future__ import annotations

import email.utils
import time
from typing import Literal, TypeAlias

import httpx
import httpx2
import openai
from langchain_core.exceptions import ContextOverflowError

from inftythink_graph.errors import InftyThinkError, InvalidInputError, ModelNotServedError
from inftythink_graph.models.transport import is_transport_error

__all__ = ["Fault", "NoServerLeftError", "concerns_question", "fault_of", "retry_after"]

Fault: TypeAlias = Literal["overload", "broken", "timeout", "away"]
"""``overload``: too much for the server. ``broken``: it failed at this request. ``timeout``: it doesn't answer in time.
``away``: the connection was refused, reset or cut."""

_LONGEST_PAUSE = 300.0  # seconds; a server that asks for more is asked again after that


class NoServerLeftError(InftyThinkError, ConnectionError):
    """No server has answered for longer than the run was told to wait."""


def fault_of(error: BaseException) -> Fault | None:
    """What befell the server; None for an error that would come again."""
    status = getattr(error, "status_code", None)
    if status in (429, 503):
        return "overload"
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException | httpx2.TimeoutException | TimeoutError):
        return "timeout"
    if isinstance(status, int) and status >= 500:
        return "broken"
    if not is_transport_error(error):
        return None
    return "away"


def concerns_question(error: BaseException) -> bool:
    """Whether an error is about one question, and others may well be answered.

    A fault of a server that gets here befell one request again and again while others were answered.
    """
    if isinstance(error, NoServerLeftError | ModelNotServedError):
        return False
    if isinstance(error, InvalidInputError | ContextOverflowError | openai.BadRequestError):
        return True
    return fault_of(error) is not None


def retry_after(error: BaseException) -> float | None:
    """Seconds that a server asks to be left alone for (RFC 9110, section 10.2.3); None where it doesn't."""
    response = getattr(error, "response", None)
    value = response.headers.get("retry-after", "") if response is not None else ""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), _LONGEST_PAUSE) if seconds == seconds else None  # NaN is a float, too
