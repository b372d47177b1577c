"""A local HTTP server that answers like vLLM, and what tests say to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from inftythink_graph.protocol import Protocol

__all__ = ["KEY", "NO_BUDGET", "OVERFLOW", "PREFILL", "QUESTION", "SUMMARIZE", "FakeVLLM", "Refusal", "running"]

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


@contextmanager
def running() -> Iterator[FakeVLLM]:
    """The fake server, listening on a free port until the block ends."""
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
                reply = fake.answer(self.path.partition("?")[0], body)
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
