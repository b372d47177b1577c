"""ChatVLLM against a local HTTP server that answers like vLLM: payloads, conversions, errors, prefills."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from langchain_core.exceptions import ContextOverflowError, ModelConnectionError, ModelNotFoundError
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from inftythink_graph.errors import CheckpointError, ModelNotServedError, ServerUnavailableError
from inftythink_graph.models import CARD_FILE, DescribesItself, ModelCard, ModelInfo
from inftythink_graph.models.vllm import DEFAULT_BASE_URL, ChatVLLM
from inftythink_graph.protocol import Protocol, parse, parse_summary

QUESTION = [{"role": "user", "content": "3 + 4"}]
SUMMARIZE = Protocol().render_summarize("3 + 4", None, "seg", budget=9)
PREFILL = str(SUMMARIZE[-1]["content"])
KEY = "sk-very-secret"

OVERFLOW = (
    "This model's maximum context length is 64 tokens. However, your prompt contains 99 input tokens, which exceeds"
    " this limit even without any output tokens. Please reduce the length of the input prompt."
)
NO_BUDGET = (
    "thinking_token_budget is set but reasoning_config is not configured. Please set --reasoning-parser and/or"
    " --reasoning-config to use thinking_token_budget."
)


class Refusal(Exception):
    """An error reply of the server's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class FakeVLLM:
    """Answers like vLLM does. Tokens are characters; ``template`` says what becomes of assistant turns."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str | None] = []
        self.models: list[dict[str, Any]] = [{"id": "m", "root": "org/m", "max_model_len": 4096, "parent": None}]
        self.template = "plain"
        self.reply: dict[str, Any] = {"content": "seven"}
        self.finish = {"finish_reason": "stop", "stop_reason": None}
        self.refuse: Callable[[str, dict[str, Any]], Refusal | None] = lambda path, body: None
        self.has_tokenize = True
        self.url = ""

    def sent(self, path: str) -> list[dict[str, Any]]:
        return [body for at, body in self.requests if at == path]

    def render(self, body: dict[str, Any]) -> str:
        begun = body.get("continue_final_message")
        text = ""
        for message in body["messages"]:
            content = message["content"]
            if message["role"] == "assistant":
                if self.template == "strip":
                    content = content.split("</think>")[-1]
                elif self.template == "trim":
                    content = content.strip()
            text += f"[{message['role']}]{content}[end]"
        if begun:
            last = str(body["messages"][-1]["content"])
            if last.strip() not in text:
                raise Refusal(400, "continue_final_message is set but the final message does not appear in the chat")
            return text.removesuffix("[end]")
        if body.get("add_generation_prompt", True):
            text += "[assistant]" + ("<think>\n" if self.template == "strip" else "")
        return text

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        if refusal := self.refuse(path, body):
            raise refusal
        if path == "/v1/models":
            return {"object": "list", "data": self.models}
        if body.get("model") not in [model["id"] for model in self.models]:
            raise Refusal(404, f"The model `{body.get('model')}` does not exist.")
        if path == "/tokenize" and self.has_tokenize:
            text = body["prompt"] if "prompt" in body else self.render(body)
            return {"count": len(text), "max_model_len": 4096, "tokens": [ord(char) for char in text]}
        if path == "/detokenize" and self.has_tokenize:
            return {"prompt": "".join(map(chr, body["tokens"]))}
        usage = {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 8},
        }
        if path == "/v1/completions":
            choice = {"index": 0, "text": self.reply["content"], "logprobs": None, **self.finish}
            return {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice], "usage": usage}
        if path != "/v1/chat/completions":
            raise Refusal(404, "Not Found")
        self.render(body)
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", **self.reply}, "logprobs": None, **self.finish}
            return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
        for field, text in self.reply.items():
            chunks += [{"choices": [{"index": 0, "delta": {field: char}}]} for char in text or ""]
        chunks[-1]["choices"][0].update(self.finish)
        chunks.append({"choices": [], "usage": usage})
        return [{"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", **chunk} for chunk in chunks]


@pytest.fixture
def fake() -> Iterator[FakeVLLM]:
    fake = FakeVLLM()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle_any(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            fake.requests.append((self.path, body))
            fake.keys.append(self.headers.get("Authorization"))
            status, kind = 200, "application/json"
            try:
                reply = fake.answer(self.path, body)
            except Refusal as refusal:
                status, reply = refusal.status, {"error": {"message": refusal.message, "code": refusal.status}}
            text = json.dumps(reply)
            if isinstance(reply, list):
                kind = "text/event-stream"
                text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in reply) + "data: [DONE]\n\n"
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture
def build(fake: FakeVLLM) -> Callable[..., ChatVLLM]:
    def build(**fields: Any) -> ChatVLLM:
        return ChatVLLM(**{"model": "m", "base_url": fake.url, "api_key": KEY, "max_retries": 0, **fields})

    return build


@pytest.fixture
def model(build: Callable[..., ChatVLLM]) -> ChatVLLM:
    return build()


@pytest.fixture(params=["sync", "async", "stream", "astream"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The four ways to ask a chat model; each returns the whole message."""

    async def call(model: ChatVLLM, messages: Any, **kwargs: Any) -> AIMessage:
        if request.param == "sync":
            return model.invoke(messages, **kwargs)
        if request.param == "async":
            return await model.ainvoke(messages, **kwargs)
        whole: AIMessageChunk | None = None
        if request.param == "stream":
            chunks = list(model.stream(messages, **kwargs))
        else:
            chunks = [chunk async for chunk in model.astream(messages, **kwargs)]
        for chunk in chunks:
            assert isinstance(chunk, AIMessageChunk)
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        return whole

    return call


# Defaults


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


# Prefills


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


# Errors


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


# What the model knows of itself


async def test_describe_asks_once(fake: FakeVLLM, model: ChatVLLM) -> None:
    assert model.describe() == await model.adescribe() == ModelInfo(window=4096, prefill=True, card=None)
    assert len(fake.requests) == 1
    fake.models = [{"id": "other", "root": "org/other", "max_model_len": 8}]
    assert model.model_copy(update={"model_name": "other"}).describe().window == 8


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
