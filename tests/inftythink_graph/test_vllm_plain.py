"""Plain requests go to the server without LangChain's typed ones in between; nobody can tell by what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_vllm import QUESTION, FakeVLLM
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from inftythink_graph.models.vllm import ChatVLLM

TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'}}


def _told(value: Any) -> Any:
    """What a message says; fields of which nothing is known may be left out, None or empty."""
    if isinstance(value, dict):
        return {key: _told(each) for key, each in value.items() if each not in (None, "") and key != "id"}
    return [_told(each) for each in value] if isinstance(value, list) else value


async def _ask(model: ChatVLLM, asynchronous: bool, **options: Any) -> AIMessage:
    return await model.ainvoke(QUESTION, **options) if asynchronous else model.invoke(QUESTION, **options)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_tokens": 9, "temperature": 0.0, "top_p": 0.9, "seed": 3, "stop": ["x"]},
        {"thinking_token_budget": 5, "extra_body": {"repetition_penalty": 1.1}},
        {"tools": [TOOL], "tool_choice": "auto"},
        {"logprobs": True, "top_logprobs": 2, "timeout": 5.0},
    ],
)
async def test_same_request_and_same_message_as_by_way_of_langchain(
    fake: FakeVLLM,
    model: ChatVLLM,
    options: dict[str, Any],
    asynchronous: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake.reply = {"content": "seven", "reasoning": "3 + 4", "tool_calls": [CALL] if "tools" in options else []}
    plain = await _ask(model, asynchronous, **options)
    monkeypatch.setattr(ChatVLLM, "_is_plain", lambda self, payload: False)
    typed = await _ask(model, asynchronous, **options)
    assert _told(plain.model_dump()) == _told(typed.model_dump())
    first, second = fake.sent("/v1/chat/completions")
    assert first == second


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_option_that_does_not_exist_is_refused(fake: FakeVLLM, model: ChatVLLM, asynchronous: bool) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        await _ask(model, asynchronous, no_such_option=1)
    assert not fake.sent("/v1/chat/completions")


class Answer(BaseModel):
    """A number."""

    value: int


def test_structured_answers_are_parsed_by_langchain(fake: FakeVLLM, model: ChatVLLM) -> None:
    fake.reply = {"content": '{"value": 7}'}
    assert model.with_structured_output(Answer, method="json_schema").invoke("3 + 4") == Answer(value=7)
    (body,) = fake.sent("/v1/chat/completions")
    assert body["response_format"]["type"] == "json_schema"


def test_headers_and_queries_of_a_call_reach_the_server(fake: FakeVLLM, model: ChatVLLM) -> None:
    model.invoke(QUESTION, extra_headers={"X-Mine": "1"}, extra_query={"mine": "2"})
    (body,) = fake.sent("/v1/chat/completions?mine=2")
    assert not {"extra_headers", "extra_query", "extra_body", "timeout"} & body.keys()


def test_headers_of_a_reply_are_kept_where_asked_for(fake: FakeVLLM, build: Callable[..., ChatVLLM]) -> None:
    message = build(include_response_headers=True).invoke(QUESTION)
    assert "content-type" in {name.lower() for name in message.response_metadata["headers"]}
