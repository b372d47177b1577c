"""ChatVLLM tells what went wrong: overflow, a missing server, a name that is not served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from fake_vllm import KEY, OVERFLOW, QUESTION, SUMMARIZE, FakeVLLM, Refusal
from langchain_core.exceptions import ContextOverflowError, ModelConnectionError, ModelNotFoundError

from inftythink_graph.errors import ModelNotServedError, ServerUnavailableError
from inftythink_graph.models.vllm import ChatVLLM


async def test_overflow_is_a_context_overflow(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]) -> None:
    fake.refuse = lambda path, body: Refusal(400, OVERFLOW) if path.endswith("completions") else None
    for template in ("plain", "strip"):
        fake.template = template
        with pytest.raises(ContextOverflowError, match="maximum context length") as caught:
            await call(ChatVLLM(model="m", base_url=fake.url), SUMMARIZE)
        assert isinstance(caught.value, openai.BadRequestError)


async def test_other_refusals_stay_what_they_are(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]) -> None:
    fake.refuse = lambda path, body: Refusal(400, "max_tokens=500 cannot be greater") if "messages" in body else None
    with pytest.raises(openai.BadRequestError, match="max_tokens=500") as caught:
        await call(model, QUESTION)
    assert not isinstance(caught.value, ContextOverflowError)


async def test_nothing_listens(call: Callable[..., Any]) -> None:
    model = ChatVLLM(model="m", base_url="http://user:hidden@127.0.0.1:9/v1", api_key=KEY, max_retries=0)
    with pytest.raises(ServerUnavailableError, match=r"no server answers at http://127\.0\.0\.1:9/v1") as caught:
        await call(model, QUESTION)
    assert isinstance(caught.value, ModelConnectionError)
    assert isinstance(caught.value.__cause__, openai.APIConnectionError)
    for question in (model.describe, lambda: model.count_prompt_tokens(QUESTION)):
        with pytest.raises(ServerUnavailableError) as caught:
            question()
        assert KEY not in str(caught.value)
        assert "hidden" not in str(caught.value)
        assert "\n" not in str(caught.value)


async def test_model_is_not_served(fake: FakeVLLM, build: Callable[..., ChatVLLM], call: Callable[..., Any]) -> None:
    with pytest.raises(ModelNotServedError, match="doesn't serve the model 'nope'; it serves 'm'") as caught:
        await call(build(model="nope"), QUESTION)
    assert caught.value.served == ("m",)
    assert isinstance(caught.value, ModelNotFoundError)
    with pytest.raises(ModelNotServedError, match="it serves 'm'"):
        build(model="nope").describe()
    with pytest.raises(ModelNotServedError, match="it serves 'm'"):
        await call(build(model="nope"), SUMMARIZE)
    with pytest.raises(ModelNotServedError, match="it serves 'm'"):
        build(model="nope").count_prompt_tokens(QUESTION)


async def test_unnamed_model_is_the_only_one_served(
    fake: FakeVLLM, build: Callable[..., ChatVLLM], call: Callable[..., Any]
) -> None:
    model = build(model="")
    await call(model, QUESTION)
    await call(model, QUESTION)
    assert [body["model"] for body in fake.sent("/v1/chat/completions")] == ["m", "m"]
    assert len(fake.sent("/v1/models")) == 1
    fake.models.append({"id": "n"})
    with pytest.raises(ModelNotServedError, match=r"name the model to use: .* serves 'm', 'n'"):
        await call(build(model=""), QUESTION)


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "refuses the API key"), (404, "ends in /v1"), (503, r"can't say what it serves \(503")],
)
def test_describe_explains_refusals(fake: FakeVLLM, model: ChatVLLM, status: int, message: str) -> None:
    fake.refuse = lambda path, body: Refusal(status, "no")
    with pytest.raises(ServerUnavailableError, match=message) as caught:
        model.describe()
    assert KEY not in str(caught.value)
