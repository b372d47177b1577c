"""Requests to a vLLM server as plans: generators that say what to ask and take the answers, without doing any I/O.

A plan is written once and run by :func:`drive` or, without blocking the event loop, by :func:`adrive`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import openai

__all__ = ["Ask", "Call", "Chat", "Plan", "adrive", "drive"]


@dataclass(frozen=True, slots=True)
class Call:
    """One plain JSON request.

    Attributes:
        path: relative to the base URL (``/models``), or absolute.
        body: what to POST; None makes it a GET.
        options: the openai client's request options (``headers``, ``timeout``).
    """

    path: str
    body: dict[str, Any] | None = None
    options: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """One chat completion through LangChain's own code, with these keyword arguments."""

    kwargs: dict[str, Any]


T = TypeVar("T")
Ask: TypeAlias = Call | Chat
Plan: TypeAlias = Generator[Ask, Any, T]


def drive(plan: Plan[T], perform: Callable[[Ask], Any]) -> T:
    """Run a plan. The openai errors of a request are raised inside the plan, where it may handle them."""
    try:
        ask = next(plan)
        while True:
            try:
                answer = perform(ask)
            except openai.APIError as error:
                ask = plan.throw(error)
            else:
                ask = plan.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def adrive(plan: Plan[T], perform: Callable[[Ask], Awaitable[Any]]) -> T:
    """:func:`drive`, asynchronously."""
    try:
        ask = next(plan)
        while True:
            try:
                answer = await perform(ask)
            except openai.APIError as error:
                ask = plan.throw(error)
            else:
                ask = plan.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
