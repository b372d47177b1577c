"""ChatVLLM against a local server that answers like vLLM: payloads, replies, what it knows of itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from fake_vllm import KEY, NO_BUDGET, PREFILL, QUESTION, SUMMARIZE, FakeVLLM, Refusal
from langchain_core.messages import HumanMessage

from inftythink_graph.errors import CheckpointError
from inftythink_graph.models import CARD_FILE, DescribesItself, ModelCard, ModelInfo
from inftythink_graph.models.vllm import DEFAULT_BASE_URL, ChatVLLM
from inftythink_graph.protocol import parse

# Defaults


async def test_a_call_may_ask_for_another_model(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]) -> None:
    fake.models = [*fake.models, {**fake.models[0], "id": "other"}]
    await call(model.bind(model="other"), QUESTION)
    assert {body["model"] for body in fake.sent("/v1/chat/completions")} == {"other"}


def test_a_key_that_is_none_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is loaded by LangChain, where the environment has none."""
    for name in ("VLLM_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert ChatVLLM(api_key=None).root_client.api_key == "EMPTY"


def test_import_needs_no_model_library() -> None:
    code = (
        "import sys, inftythink_graph.models.vllm;"
        "print([m for m in ('torch', 'transformers', 'vllm') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VLLM_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid/v1")
    model = ChatVLLM()
    assert model.openai_api_base == DEFAULT_BASE_URL
    assert str(model.root_client.base_url).rstrip("/") == DEFAULT_BASE_URL
    assert model.root_client.api_key == "EMPTY"
    assert model.root_client.timeout == 600
    assert model.stream_usage is True
    assert model.use_responses_api is False
    assert isinstance(model, DescribesItself)


def test_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    model = ChatVLLM()
    assert model.root_client.api_key == KEY
    assert KEY not in repr(model)
    assert ChatVLLM(api_key="explicit").root_client.api_key == "explicit"


def test_serialization_names_the_class_where_it_is(model: ChatVLLM) -> None:
    assert ".".join(ChatVLLM.lc_id()) == "inftythink_graph.models.vllm.ChatVLLM"
    assert KEY not in str(model.to_json())


def test_every_request_carries_the_key_and_no_other(fake: FakeVLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "administration")
    fake.template = "strip"
    model = ChatVLLM(base_url=fake.url, api_key=KEY)
    model.describe()
    model.invoke(SUMMARIZE)
    model.invoke(QUESTION)
    assert {path for path, _ in fake.requests} >= {"/v1/models", "/tokenize", "/v1/completions", "/v1/chat/completions"}
    assert set(fake.keys) == {f"Bearer {KEY}"}


# Payloads and replies


async def test_a_plain_call(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]) -> None:
    fake.finish = {"finish_reason": "stop", "stop_reason": "</summary>"}
    message = await call(model, QUESTION, max_tokens=7, stop=["</summary>"])
    assert message.content == "seven"
    assert message.usage_metadata["input_tokens"] == 10
    assert message.usage_metadata["output_tokens"] == 5
    assert message.usage_metadata["input_token_details"]["cache_read"] == 8
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["stop_reason"] == "</summary>"
    assert message.response_metadata["model_provider"] == "vllm"
    assert message.response_metadata["model_name"] == "m"
    (body,) = fake.sent("/v1/chat/completions")
    assert body["model"] == "m"
    assert body["max_tokens"] == body["max_completion_tokens"] == 7
    assert body["stop"] == ["</summary>"]
    assert "continue_final_message" not in body
    assert len(fake.requests) == 1, "an ordinary request costs one request"


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_is_kept(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any], field: str) -> None:
    fake.reply = {field: "3, 4, so", "content": "seven"}
    message = await call(model, QUESTION)
    assert message.additional_kwargs["reasoning_content"] == "3, 4, so"
    assert message.content == "seven"
    blocks = [block["type"] for block in message.content_blocks]
    assert blocks == ["reasoning", "text"]


async def test_reasoning_survives_a_cut(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]) -> None:
    fake.reply = {"reasoning": "3, 4, so", "content": None}
    fake.finish = {"finish_reason": "length", "stop_reason": None}
    message = await call(model, QUESTION)
    parsed = parse(message.text, "length", reasoning=message.additional_kwargs["reasoning_content"])
    assert (parsed.kind, parsed.segment) == ("cut", "3, 4, so")


async def test_extra_body_is_merged(fake: FakeVLLM, build: Callable[..., ChatVLLM], call: Callable[..., Any]) -> None:
    model = build(extra_body={"top_k": 5, "min_p": 0.1})
    await call(model, QUESTION, extra_body={"min_p": 0.2, "priority": 3})
    (body,) = fake.sent("/v1/chat/completions")
    assert (body["top_k"], body["min_p"], body["priority"]) == (5, 0.2, 3)
    assert model.extra_body == {"top_k": 5, "min_p": 0.1}


async def test_choices_keep_their_own_reasons(fake: FakeVLLM, build: Callable[..., ChatVLLM]) -> None:
    model = build(n=2)
    reply = {
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "length"},
        ],
    }
    result = model._create_chat_result(reply)
    assert [(g.generation_info or {})["finish_reason"] for g in result.generations] == ["stop", "length"]


def test_one_model_serves_many_event_loops(fake: FakeVLLM, model: ChatVLLM) -> None:
    async def several() -> list[str]:
        replies = await asyncio.gather(*(model.ainvoke(QUESTION) for _ in range(3)))
        return [reply.text for reply in replies]

    for _ in range(4):
        assert asyncio.run(several()) == ["seven"] * 3
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: asyncio.run(several()), range(4))) == [["seven"] * 3] * 4


# Thinking budgets


async def test_budget_is_sent_and_dropped_where_refused(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]
) -> None:
    fake.refuse = lambda path, body: Refusal(400, NO_BUDGET) if "thinking_token_budget" in body else None
    assert (await call(model, QUESTION, thinking_token_budget=4)).content == "seven"
    assert (await call(model, QUESTION, thinking_token_budget=4)).content == "seven"
    sent = ["thinking_token_budget" in body for body in fake.sent("/v1/chat/completions")]
    assert sent == [True, False, False], "refused once, remembered after"


async def test_budget_on_insists_and_off_never_sends(
    fake: FakeVLLM, build: Callable[..., ChatVLLM], call: Callable[..., Any]
) -> None:
    await call(build(thinking_budget="off"), QUESTION, thinking_token_budget=4)
    await call(build(), QUESTION, thinking_token_budget=4)
    assert [body.get("thinking_token_budget") for body in fake.sent("/v1/chat/completions")] == [None, 4]
    fake.refuse = lambda path, body: Refusal(400, NO_BUDGET) if "thinking_token_budget" in body else None
    with pytest.raises(openai.BadRequestError, match="thinking_token_budget"):
        await call(build(thinking_budget="on"), QUESTION, thinking_token_budget=4)


# What the model knows of itself


async def test_describe_asks_once(fake: FakeVLLM, model: ChatVLLM) -> None:
    assert model.describe() == await model.adescribe() == ModelInfo(window=4096, prefill=True, card=None)
    assert len(fake.requests) == 1
    fake.models = [{"id": "other", "root": "org/other", "max_model_len": 8}]
    assert model.model_copy(update={"model_name": "other"}).describe().window == 8


def test_the_served_name_is_the_one_given_or_the_only_one_that_is_served(
    fake: FakeVLLM, build: Callable[..., ChatVLLM], model: ChatVLLM
) -> None:
    assert model.served_name == model.model_name
    assert build(model="lora").served_name == "lora", "known without asking"
    assert not fake.requests
    unnamed = build(model="")
    assert unnamed.served_name == ""
    unnamed.describe()
    assert unnamed.served_name == "m"


def test_describe_reads_the_card_of_a_local_model(
    fake: FakeVLLM, build: Callable[..., ChatVLLM], tmp_path: Any
) -> None:
    fake.models[0]["root"] = str(tmp_path)
    (tmp_path / CARD_FILE).write_text('{"method": "inftythink", "context": 256, "eta": 112, "summary_budget": 24}')
    assert build().describe().card == ModelCard(method="inftythink", context=256, eta=112, summary_budget=24)
    (tmp_path / CARD_FILE).write_text("{}")
    with pytest.raises(CheckpointError):
        build().describe()


def test_window_of_an_adapter_is_that_of_its_base(fake: FakeVLLM, build: Callable[..., ChatVLLM]) -> None:
    fake.models.append({"id": "lora", "root": "nowhere", "parent": "m", "max_model_len": None})
    assert build(model="lora").describe().window == 4096


@pytest.mark.parametrize("template", ["plain", "strip", "trim"])
async def test_counting(fake: FakeVLLM, model: ChatVLLM, template: str) -> None:
    fake.template = template
    assert model.count_prompt_tokens(QUESTION) == len(fake.render({"messages": QUESTION}))
    begun = len(f"[user]3 + 4[end][assistant]{PREFILL}")
    assert model.count_prompt_tokens(SUMMARIZE) == await model.acount_prompt_tokens(SUMMARIZE) == begun
    assert model.get_num_tokens("four") == 4
    assert model.get_num_tokens_from_messages([HumanMessage("3 + 4")]) == model.count_prompt_tokens(QUESTION)


async def test_template_settings_are_examined_apart(fake: FakeVLLM, model: ChatVLLM) -> None:
    model.invoke(SUMMARIZE)
    model.invoke(SUMMARIZE, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    examined = [body.get("chat_template_kwargs") for body in fake.sent("/tokenize") if "messages" in body]
    assert examined == [None, None, {"enable_thinking": False}, {"enable_thinking": False}]
