"""ChatVLLM against a real vLLM server with the bundled model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, AIMessageChunk

from inftythink_graph.errors import ModelNotServedError
from inftythink_graph.models import ModelCard
from inftythink_graph.models._vllm_prefill import Rendering, rendering_key
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.protocol import Protocol, parse, parse_summary
from inftythink_graph.serve import RunningServer

PROTOCOL = Protocol()
QUESTION = PROTOCOL.render("Collatz: start at 27. How many steps until 1?")
SUMMARIZE = PROTOCOL.render_summarize("3 + 4", None, "3 + 4 is 7.", budget=16)
FORCED = PROTOCOL.render_forced_answer("3 + 4", None, "3 + 4 is 7.")


def ask(server: RunningServer, path: str, **body: Any) -> Any:
    """One request past ChatVLLM, to look at what the server itself says."""
    root = server.base_url.removesuffix("/v1")
    request = urllib.request.Request(root + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)


def force_composing(model: ChatVLLM) -> ChatVLLM:
    """A copy that takes the server's template for one that can't render a prefill."""
    copy = ChatVLLM(model=model.model_name, base_url=model.openai_api_base, temperature=0, max_tokens=model.max_tokens)
    payload = copy._get_request_payload(SUMMARIZE)
    copy._renderings[rendering_key(payload)] = Rendering(direct=False)
    return copy


def test_describes_itself(vllm_server: RunningServer, chat_vllm: ChatVLLM) -> None:
    info = chat_vllm.describe()
    (entry,) = json.load(urllib.request.urlopen(f"{vllm_server.base_url}/models", timeout=60))["data"]
    assert info.card == ModelCard.read(entry["root"])
    assert info.card is not None
    assert info.window == info.card.context, "served with the window that it was trained in"
    assert info.prefill


def test_unnamed_model_is_found(vllm_server: RunningServer) -> None:
    message = ChatVLLM(base_url=vllm_server.base_url, max_tokens=2).invoke(QUESTION)
    assert message.response_metadata["model_name"] == vllm_server.model


def test_wrong_name(vllm_server: RunningServer) -> None:
    with pytest.raises(ModelNotServedError) as caught:
        ChatVLLM(model="nope", base_url=vllm_server.base_url).invoke(QUESTION)
    assert caught.value.served == (vllm_server.model,)


async def test_plain_call_and_usage(chat_vllm: ChatVLLM) -> None:
    first = chat_vllm.invoke(QUESTION)
    assert first.usage_metadata is not None
    assert first.usage_metadata["input_tokens"] == chat_vllm.count_prompt_tokens(QUESTION)
    assert 0 < first.usage_metadata["output_tokens"] <= 32
    assert first.response_metadata["finish_reason"] in ("stop", "length")
    second = await chat_vllm.ainvoke(QUESTION)
    assert second.content == first.content


def test_cached_tokens_are_reported(chat_vllm: ChatVLLM) -> None:
    """The second epoch's prompt begins like the first one's: the server computes the question only once."""
    question = "Collatz: start at 27. " * 8
    prompts = [PROTOCOL.render(question, summary) for summary in (None, "27, 82, 41.")]
    cached = []
    for prompt in prompts:
        message = chat_vllm.invoke(prompt, max_tokens=2)
        assert message.usage_metadata is not None
        cached.append(message.usage_metadata["input_token_details"]["cache_read"])
    assert cached[1] >= 32


def test_prefill_is_rendered_verbatim(vllm_server: RunningServer, chat_vllm: ChatVLLM) -> None:
    for messages in (SUMMARIZE, FORCED):
        base = ask(vllm_server, "/tokenize", messages=messages[:-1])["tokens"]
        begun = ask(vllm_server, "/tokenize", prompt=messages[-1]["content"], add_special_tokens=False)["tokens"]
        assert chat_vllm.count_prompt_tokens(messages) == len(base + begun)
        direct = ask(
            vllm_server, "/tokenize", messages=messages, add_generation_prompt=False, continue_final_message=True
        )["tokens"]
        assert direct == base + begun
        message = chat_vllm.invoke(messages, max_tokens=4)
        assert message.usage_metadata is not None
        assert message.usage_metadata["input_tokens"] == len(direct)
    assert list(chat_vllm._renderings.values()) == [Rendering(direct=True)]


async def test_composed_prefill_says_the_same(chat_vllm: ChatVLLM) -> None:
    composing = force_composing(chat_vllm)
    for messages in (SUMMARIZE, FORCED):
        direct, composed = chat_vllm.invoke(messages), composing.invoke(messages)
        assert composed.content == direct.content
        assert composed.response_metadata["finish_reason"] == direct.response_metadata["finish_reason"]
        assert composed.usage_metadata is not None
        assert direct.usage_metadata is not None
        for key in ("input_tokens", "output_tokens", "total_tokens"):
            assert composed.usage_metadata[key] == direct.usage_metadata[key]
        assert (await composing.ainvoke(messages)).content == direct.content
        assert composing.count_prompt_tokens(messages) == chat_vllm.count_prompt_tokens(messages)


def test_composed_prefill_takes_all_the_room_that_is_left(chat_vllm: ChatVLLM) -> None:
    """The text completion endpoint stops after 16 tokens where nothing is said."""
    model = force_composing(chat_vllm)
    model.max_tokens = None
    message = model.invoke(SUMMARIZE, extra_body={"ignore_eos": True})
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == model.describe().window


def test_thinking_budget_closes_the_thought(chat_vllm: ChatVLLM) -> None:
    """Without a reasoning parser: the text stays raw."""
    begun = [*QUESTION, {"role": "assistant", "content": "<think>\n"}]
    message = chat_vllm.invoke(begun, thinking_token_budget=6, max_tokens=24)
    assert "</think>" in message.text
    assert chat_vllm.get_num_tokens(message.text.partition("</think>")[0]) <= 6
    assert "reasoning_content" not in message.additional_kwargs


async def test_overflow(chat_vllm: ChatVLLM) -> None:
    window = chat_vllm.describe().window
    assert window is not None
    for times in (window, window * 50):  # by tokens, and by characters before they are counted
        messages = [{"role": "user", "content": "3 + 4 " * times}]
        with pytest.raises(ContextOverflowError) as caught:
            chat_vllm.invoke(messages)
        assert isinstance(caught.value, openai.BadRequestError)
        with pytest.raises(ContextOverflowError):
            await chat_vllm.ainvoke(messages)
        with pytest.raises(ContextOverflowError):
            list(chat_vllm.stream(messages))
        with pytest.raises(ContextOverflowError):
            [chunk async for chunk in chat_vllm.astream(messages)]
        with pytest.raises(ContextOverflowError):
            force_composing(chat_vllm).invoke([*messages, {"role": "assistant", "content": "<think>\n"}])


@pytest.mark.parametrize("composed", [False, True])
@pytest.mark.parametrize("messages", [QUESTION, SUMMARIZE], ids=["question", "prefill"])
async def test_streaming(chat_vllm: ChatVLLM, messages: list[dict[str, Any]], composed: bool) -> None:
    model = force_composing(chat_vllm) if composed else chat_vllm
    whole = chat_vllm.invoke(messages)
    for chunks in (list(model.stream(messages)), [chunk async for chunk in model.astream(messages)]):
        merged = chunks[0]
        for chunk in chunks[1:]:
            merged += chunk
        assert isinstance(merged, AIMessageChunk)
        assert merged.content == whole.content
        assert merged.response_metadata["finish_reason"] == whole.response_metadata["finish_reason"]
        assert merged.usage_metadata is not None
        assert whole.usage_metadata is not None
        assert merged.usage_metadata["output_tokens"] == whole.usage_metadata["output_tokens"]


async def test_requests_run_side_by_side(chat_vllm: ChatVLLM) -> None:
    messages: list[AIMessage] = await asyncio.gather(*(chat_vllm.ainvoke(QUESTION) for _ in range(16)))
    assert {message.response_metadata["finish_reason"] for message in messages} <= {"stop", "length"}


async def test_counting_does_not_block_the_event_loop(chat_vllm: ChatVLLM) -> None:
    counts = await asyncio.gather(*(chat_vllm.acount_prompt_tokens(SUMMARIZE) for _ in range(4)))
    assert set(counts) == {chat_vllm.count_prompt_tokens(SUMMARIZE)}


# The server itself


def test_server_is_loopback_only_and_in_a_group_of_its_own(vllm_server: RunningServer) -> None:
    assert vllm_server.base_url.startswith("http://127.0.0.1:")
    assert os.getpgid(vllm_server.pid) == vllm_server.pid
    assert os.getpgid(0) != vllm_server.pid


def test_command_ends_its_server(test_model: str, tmp_path: Path) -> None:
    """SIGTERM while vLLM is still loading: the command ends with status 0 and so does all that it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "inftythink_graph.serve", test_model, "--device", "cpu", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 60
        while not (started := children.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
    with pytest.raises(ProcessLookupError):
        os.killpg(int(started[0]), 0)


# With a reasoning parser. These come last: they replace the running server by another one.


@pytest.fixture
def reasoning(vllm_reasoning_server: RunningServer) -> ChatVLLM:
    return ChatVLLM(
        model=vllm_reasoning_server.model, base_url=vllm_reasoning_server.base_url, temperature=0, max_tokens=24
    )


async def test_reasoning_is_kept_when_tokens_run_out_inside_it(reasoning: ChatVLLM) -> None:
    """ChatOpenAI would return an empty message: the whole epoch would be lost."""
    for message in (reasoning.invoke(QUESTION, max_tokens=8), await reasoning.ainvoke(QUESTION, max_tokens=8)):
        assert message.response_metadata["finish_reason"] == "length"
        assert message.content == ""
        parsed = parse(message.text, "length", reasoning=message.additional_kwargs["reasoning_content"])
        assert parsed.kind in ("cut", "malformed")
        assert message.additional_kwargs["reasoning_content"]


async def test_streamed_reasoning_is_kept(reasoning: ChatVLLM) -> None:
    whole = reasoning.invoke(QUESTION, max_tokens=8).additional_kwargs["reasoning_content"]
    for chunks in (
        list(reasoning.stream(QUESTION, max_tokens=8)),
        [chunk async for chunk in reasoning.astream(QUESTION, max_tokens=8)],
    ):
        assert "".join(chunk.additional_kwargs.get("reasoning_content", "") for chunk in chunks) == whole


async def test_continued_text_is_no_reasoning(vllm_reasoning_server: RunningServer, reasoning: ChatVLLM) -> None:
    """vLLM hands a continued summary over as reasoning, because the new text has no closing tag. ChatVLLM doesn't."""
    continued = {"add_generation_prompt": False, "continue_final_message": True, "temperature": 0, "max_tokens": 12}
    reply = ask(
        vllm_reasoning_server, "/v1/chat/completions", model=reasoning.model_name, messages=SUMMARIZE, **continued
    )
    raw = reply["choices"][0]["message"]
    assert raw["reasoning"], "vLLM has changed: perhaps this correction is no longer needed"
    assert not raw["content"]

    message = reasoning.invoke(SUMMARIZE, max_tokens=12)
    assert message.content == raw["reasoning"]
    assert "reasoning_content" not in message.additional_kwargs
    assert parse_summary(message.text) == parse_summary(raw["reasoning"])
    streamed = "".join([chunk.text async for chunk in reasoning.astream(SUMMARIZE, max_tokens=12)])
    assert streamed == message.content


def test_thinking_budget_works_with_a_parser_too(reasoning: ChatVLLM) -> None:
    begun = [*QUESTION, {"role": "assistant", "content": "<think>\n"}]
    message = reasoning.invoke(begun, thinking_token_budget=6, max_tokens=24)
    assert reasoning.get_num_tokens(message.additional_kwargs["reasoning_content"]) <= 6
    assert "</think>" not in message.text
