"""A chat model whose replies depend on the request alone, for builds in several processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

__all__ = ["ScriptedChat"]


class ScriptedChat(BaseChatModel):
    """Answers each request with a text that names its digest.

    The question scripts what goes wrong: ``(long)`` is always over budget, ``(flaky)`` is cut off at the first attempt,
    ``(deadly)`` kills the process it runs in, once.

    Attributes:
        log: a file with a line for every request that began: process, digest.
        delay: seconds that a reply takes.
        down: no request gets a reply.
        journal: the build's requests; a copy lies beside the log from the moment that a process is killed.
    """

    model_name: str = "scripted"
    log: str
    delay: float = 0.0
    down: bool = False
    journal: str = ""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _note(self, digest: str) -> None:
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {digest}\n")

    def _die_once(self) -> None:
        copy = Path(f"{self.log}.killed")
        if not copy.exists():
            copy.write_bytes(Path(self.journal).read_bytes())
            os.kill(os.getpid(), signal.SIGKILL)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        raise NotImplementedError("the pipeline asks asynchronously")

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        request = json.dumps([[message.type, message.content] for message in messages] + [kwargs.get("seed")])
        digest, question = hashlib.sha256(request.encode()).hexdigest()[:12], str(messages[1].content)
        self._note(digest)
        await asyncio.sleep(self.delay)
        if self.down:
            raise ConnectionError("nobody there")
        if "(deadly)" in question:
            self._die_once()
        text = f"Known so far: {digest}." * (20 if "(long)" in question else 1)
        reason = "length" if "(flaky)" in question and kwargs["seed"] == 0 else "stop"
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        message = AIMessage(text, usage_metadata=usage, response_metadata={"finish_reason": reason})
        return ChatResult(generations=[ChatGeneration(message=message)])
