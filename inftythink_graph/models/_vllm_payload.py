"""A chat request as the body and the options of one POST."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from openai.resources.chat.completions import AsyncCompletions

__all__ = ["chat_fields", "plain_request", "request_options"]

_ABOUT_THE_REQUEST = {"extra_headers", "extra_query", "extra_body", "timeout"}


@lru_cache(maxsize=1)
def chat_fields() -> frozenset[str]:
    """What the OpenAI client takes; anything else is a mistake that its own code has the words for."""
    return frozenset(inspect.signature(AsyncCompletions.create).parameters)


def request_options(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a payload that is about the request and not in it, as the client's own options."""
    names = (("extra_headers", "headers"), ("extra_query", "params"), ("timeout", "timeout"))
    return {name: payload[key] for key, name in names if payload.get(key) is not None}


def plain_request(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A payload as body and options."""
    body = {key: value for key, value in payload.items() if key not in _ABOUT_THE_REQUEST}
    return {**body, **(payload.get("extra_body") or {})}, request_options(payload)
