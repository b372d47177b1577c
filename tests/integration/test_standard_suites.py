"""LangChain's own suites against a real vLLM server: ``ChatVLLM``, ``ChatInftyThink``, and the tool.

The chat models talk to a server with tool parsing, whose tiny model has learnt the suites' questions by heart
(``rehearsed_model.py``): the calls and the JSON that they expect come through vLLM's parser and its guided decoding.
The tool thinks with the model that comes with the package.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ChatModelIntegrationTests, ToolsIntegrationTests
from rehearsed_model import JOKE_AS_JSON

from inftythink_graph import ChatInftyThink, ChatVLLM, create_reasoning_tool
from inftythink_graph.serve import RunningServer

Details = dict[
    Literal["invoke", "stream"],
    list[Literal["audio_input", "audio_output", "reasoning_output", "cache_read_input", "cache_creation_input"]],
]
CACHED: Details = {"invoke": ["cache_read_input"], "stream": ["cache_read_input"]}


class _OnVLLM(ChatModelIntegrationTests):
    """What both chat models have in common. Of what the suite can ask for, they lack or leave out:

    - images, PDFs, audio, in questions and in tool results: the served model reads text only;
    - Anthropic's own message format: neither class claims to read it;
    - reasoning tokens and cache creation in the usage: vLLM doesn't tell them;
    - ``test_stream_time``: it replays recorded traffic, and here a server answers.
    """

    server: RunningServer

    @pytest.fixture(autouse=True)
    def _served(self, rehearsed_server: RunningServer) -> None:
        type(self).server = rehearsed_server

    def chat_vllm(self) -> ChatVLLM:
        return ChatVLLM(model=self.server.model, base_url=self.server.base_url, temperature=0, max_tokens=160)

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supported_usage_metadata_details(self) -> Details:
        return CACHED

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)
        model.invoke(JOKE_AS_JSON)
        if not stream:
            return model.invoke(JOKE_AS_JSON)
        chunks: Any = list(model.stream(JOKE_AS_JSON))
        whole: AIMessage = chunks[0] + chunks[1:]
        return whole


class TestChatVLLM(_OnVLLM):
    """All that the class claims.

    The model has two names, and vLLM answers with the first, whichever was asked for. So it is the other one that the
    tests override; that a request asks for the name of the call is held by ``test_vllm_model.py``.
    """

    @property
    def chat_model_class(self) -> type[ChatVLLM]:
        return ChatVLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": f"{self.server.model}-too",
            "base_url": self.server.base_url,
            "api_key": "none",
            "temperature": 0,
            "max_tokens": 160,
        }

    @property
    def model_override_value(self) -> str:
        return self.server.model


class TestChatInftyThink(_OnVLLM):
    """All that the class claims. A call can't ask for another model: the run's window and format belong to the one."""

    @property
    def chat_model_class(self) -> type[ChatInftyThink]:
        return ChatInftyThink

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.chat_vllm(), "max_epochs": 4}

    @property
    def supports_model_override(self) -> bool:
        return False


class TestReasoningTool(ToolsIntegrationTests):
    """Everything, with the bundled model."""

    server: RunningServer

    @pytest.fixture(autouse=True)
    def _served(self, vllm_server: RunningServer) -> None:
        type(self).server = vllm_server

    @property
    def tool_constructor(self) -> BaseTool:
        return create_reasoning_tool(ChatVLLM(model=self.server.model, base_url=self.server.base_url))

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"question": "What is the greatest common divisor of 3534 and 57?"}
