"""ChatVLLM continues an assistant turn, whatever the chat template makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_vllm import NO_BUDGET, PREFILL, QUESTION, SUMMARIZE, FakeVLLM, Refusal
from langchain_core.messages import AIMessage, HumanMessage

from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.protocol import Protocol, parse, parse_summary


async def test_prefill_is_continued_directly(fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]) -> None:
    for _ in range(3):
        assert (await call(model, SUMMARIZE)).content == "seven"
    for body in fake.sent("/v1/chat/completions"):
        assert body["continue_final_message"] is True
        assert body["add_generation_prompt"] is False
        assert body["messages"][-1] == {"role": "assistant", "content": PREFILL}
    assert len(fake.sent("/tokenize")) == 3, "the template is examined once, not for every request"


@pytest.mark.parametrize("template", ["strip", "trim"])
async def test_prefill_is_composed_where_the_template_rewrites_it(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any], template: str
) -> None:
    fake.template = template
    fake.finish = {"finish_reason": "length", "stop_reason": None}
    message = await call(model, SUMMARIZE, max_tokens=9, temperature=0.5, extra_body={"top_k": 5})
    assert message.content == "seven"
    assert message.usage_metadata["total_tokens"] == 15
    assert message.usage_metadata["input_token_details"]["cache_read"] == 8
    assert message.response_metadata["finish_reason"] == "length"
    assert message.response_metadata["model_provider"] == "vllm"
    assert fake.sent("/v1/chat/completions") == []
    (body,) = fake.sent("/v1/completions")
    assert "".join(map(chr, body["prompt"])) == f"[user]3 + 4[end][assistant]{PREFILL}", "verbatim, one think tag"
    assert (body["max_tokens"], body["temperature"], body["top_k"]) == (9, 0.5, 5)
    assert not {"messages", "continue_final_message", "extra_body", "stream"} & set(body)

    before = len(fake.requests)
    await call(model, SUMMARIZE)
    assert len(fake.requests) - before == 3, "two tokenizations and the completion: nothing is examined again"
    assert fake.sent("/v1/completions")[-1]["max_tokens"] == 4096 - len(body["prompt"]), "all that fits"
    await call(model, QUESTION)
    assert len(fake.sent("/v1/chat/completions")) == 1, "requests without a prefill are not affected"


async def test_prefill_falls_back_when_only_the_request_is_refused(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]
) -> None:
    def refuse(path: str, body: dict[str, Any]) -> Refusal | None:
        refused = path == "/v1/chat/completions" and body.get("continue_final_message")
        return Refusal(400, "This renderer does not support continue_final_message") if refused else None

    fake.refuse = refuse
    for _ in range(2):
        assert (await call(model, SUMMARIZE)).content == "seven"
    assert len(fake.sent("/v1/chat/completions")) == 1, "remembered"
    assert len(fake.sent("/v1/completions")) == 2


async def test_prefill_without_tokenize_is_sent_directly(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]
) -> None:
    fake.has_tokenize = False
    assert (await call(model, SUMMARIZE)).content == "seven"
    with pytest.raises(ServerUnavailableError, match="/tokenize"):
        model.count_prompt_tokens(QUESTION)


async def test_budget_is_dropped_on_the_composed_way_too(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]
) -> None:
    fake.template = "strip"
    fake.refuse = lambda path, body: Refusal(400, NO_BUDGET) if "thinking_token_budget" in body else None
    assert (await call(model, SUMMARIZE, thinking_token_budget=4)).content == "seven"
    assert ["thinking_token_budget" in body for body in fake.sent("/v1/completions")] == [True, False]


async def test_text_after_a_closed_thought_is_no_reasoning(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any]
) -> None:
    """A reasoning parser that sees no closing tag in the new text takes all of it for reasoning."""
    fake.reply = {"reasoning": "x is 3.\n</summary>", "content": None}
    message = await call(model, SUMMARIZE)
    assert parse_summary(message.text, reasoning=message.additional_kwargs.get("reasoning_content")) == "x is 3."
    assert "reasoning_content" not in message.additional_kwargs

    fake.reply = {"reasoning": "The answer is \\boxed{7}.", "content": None}
    message = await call(model, Protocol().render_forced_answer("3 + 4", None))
    assert parse(message.text, "stop").conclusion == "The answer is \\boxed{7}."


@pytest.mark.parametrize("prefill", ["<think>\n", "<history>\nx\n</history>"])
async def test_reasoning_after_an_open_thought_stays_apart(
    fake: FakeVLLM, model: ChatVLLM, call: Callable[..., Any], prefill: str
) -> None:
    fake.reply = {"reasoning": "3, 4, so", "content": "seven"}
    message = await call(model, [*QUESTION, {"role": "assistant", "content": prefill}])
    assert message.additional_kwargs["reasoning_content"] == "3, 4, so"
    assert message.content == "seven"


def test_what_is_no_prefill(fake: FakeVLLM, model: ChatVLLM) -> None:
    model.invoke([*QUESTION, AIMessage("")])
    tool_call = {"name": "f", "args": {}, "id": "1", "type": "tool_call"}
    model.invoke([*QUESTION, AIMessage("", tool_calls=[tool_call])])
    model.invoke([*QUESTION, AIMessage("Seven."), HumanMessage("Sure?")])
    model.invoke(SUMMARIZE, extra_body={"add_generation_prompt": True})
    bodies = fake.sent("/v1/chat/completions")
    assert not any(body.get("continue_final_message") for body in bodies)
    assert [message["role"] for message in bodies[0]["messages"]] == ["user"]
    assert bodies[3]["add_generation_prompt"] is True
    assert fake.sent("/tokenize") == []


def test_tokens_are_reported_to_callbacks_once(fake: FakeVLLM, model: ChatVLLM) -> None:
    from langchain_core.callbacks import BaseCallbackHandler

    seen: list[str] = []

    class Watch(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            seen.append(token)

    for template in ("plain", "strip"):
        fake.template = template
        seen.clear()
        list(ChatVLLM(model="m", base_url=fake.url).stream(SUMMARIZE, config={"callbacks": [Watch()]}))
        assert "".join(seen) == "seven"
