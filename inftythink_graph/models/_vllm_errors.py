"""What vLLM's error replies mean, and the exceptions that callers see instead."""

from __future__ import annotations

import openai
from langchain_core.exceptions import ModelConnectionError, ModelError, ModelNotFoundError
from langchain_openai.chat_models.base import (
    OpenAIAPIContextOverflowError,
    OpenAIAPIError,
    OpenAIAuthenticationError,
    OpenAIContextOverflowError,
    OpenAIInvalidRequestError,
    OpenAIModelNotFoundError,
    OpenAIPermissionDeniedError,
    OpenAIRateLimitError,
    OpenAITimeoutError,
)

from inftythink_graph.errors import ModelNotServedError, ServerUnavailableError
from inftythink_graph.redaction import shown_url

__all__ = [
    "VLLMConnectionError",
    "VLLMModelNotFoundError",
    "lacks_endpoint",
    "not_served",
    "refuses_continuation",
    "refuses_thinking_budget",
    "translated",
    "unavailable",
]


class VLLMConnectionError(ServerUnavailableError, ModelConnectionError):
    """The vLLM server can't be reached; LangChain's retry helpers know it as a connection error."""


class VLLMModelNotFoundError(ModelNotServedError, ModelNotFoundError):
    """The vLLM server doesn't serve the model; LangChain knows it as a model that was not found."""


# The status errors in the order of their base classes: LangChain's twin of each carries the same fields.
_TWINS: tuple[tuple[type[openai.APIStatusError], type[openai.APIStatusError]], ...] = (
    (openai.BadRequestError, OpenAIInvalidRequestError),
    (openai.AuthenticationError, OpenAIAuthenticationError),
    (openai.PermissionDeniedError, OpenAIPermissionDeniedError),
    (openai.NotFoundError, OpenAIModelNotFoundError),
    (openai.RateLimitError, OpenAIRateLimitError),
    (openai.InternalServerError, OpenAIAPIError),
)


def refuses_thinking_budget(error: openai.APIError) -> bool:
    """The server isn't set up for ``thinking_token_budget``."""
    return isinstance(error, openai.BadRequestError) and "thinking_token_budget" in error.message


def refuses_continuation(error: openai.APIError) -> bool:
    """The chat template can't render a final message that the model is to continue."""
    return isinstance(error, openai.BadRequestError) and "continue_final_message" in error.message


def lacks_endpoint(error: openai.APIError) -> bool:
    """The server answers, but has nothing at this path: a proxy, or a server that is not vLLM."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in (403, 404, 405, 501):
        return False
    return "does not exist" not in error.message  # vLLM's words for an unknown model, also a 404


def _overflows(error: openai.APIError) -> bool:
    return "maximum context length" in error.message


def translated(error: openai.APIError, url: str) -> Exception:
    """The exception to raise for ``error``: the same one where there is nothing to add."""
    if _overflows(error):
        if isinstance(error, openai.BadRequestError):
            return OpenAIContextOverflowError(message=error.message, response=error.response, body=error.body)
        return OpenAIAPIContextOverflowError(message=error.message, request=error.request, body=error.body)
    if isinstance(error, openai.APITimeoutError):
        return error if isinstance(error, ModelError) else OpenAITimeoutError(error.request)
    if isinstance(error, openai.APIConnectionError):
        return unavailable(error, url)
    if isinstance(error, ModelError):
        return error
    for plain, twin in _TWINS:
        if isinstance(error, plain):
            return twin(error.message, response=error.response, body=error.body)
    return error


def unavailable(error: openai.APIError, url: str) -> ServerUnavailableError:
    """One line about a server that can't be asked what it serves."""
    shown = shown_url(url)
    if isinstance(error, openai.APITimeoutError):
        return VLLMConnectionError(f"the server at {shown} doesn't answer within the time limit")
    if isinstance(error, openai.APIConnectionError):
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        return VLLMConnectionError(
            f"no server answers at {shown} ({str(reason).rstrip('.') or type(reason).__name__}):"
            " start one with `inftythink serve`, or give the base_url of one that runs"
        )
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return ServerUnavailableError(f"the server at {shown} refuses the API key: give the right one as api_key")
    if isinstance(error, openai.NotFoundError):
        return ServerUnavailableError(
            f"the server at {shown} has no list of models there: base_url is the address that ends in /v1"
        )
    status = error.status_code if isinstance(error, openai.APIStatusError) else type(error).__name__
    return ServerUnavailableError(f"the server at {shown} can't say what it serves ({status})")


def not_served(name: str, served: tuple[str, ...], url: str) -> ModelNotServedError:
    """One line about a model that the server doesn't serve; an empty ``name``: none was given and there are several."""
    names = ", ".join(map(repr, served)) or "nothing"
    if name:
        message = f"the server at {shown_url(url)} doesn't serve the model {name!r}; it serves {names}"
    else:
        message = f"name the model to use: the server at {shown_url(url)} serves {names}"
    return VLLMModelNotFoundError(message, served=served)
