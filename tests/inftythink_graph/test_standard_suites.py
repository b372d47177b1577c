"""LangChain's own suites for chat models and tools, as far as they need no server.

Both chat models say that they can be saved (``is_lc_serializable``), as ``ChatOpenAI`` does, and ``dumpd`` does so. The
one standard test that is expected to fail is ``test_serdes``: it loads with ``allowed_objects="all"``, which in this
version of langchain-core means the classes on its own list, so that no class of another package can pass. With the
classes named, loading works (``test_chat_model.py``).
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests
from streaming_chat import StreamingModel

from inftythink_graph import ChatInftyThink, ChatVLLM, create_reasoning_tool

URL = "http://127.0.0.1:1/v1"
NOT_ON_THE_LIST = pytest.mark.xfail(
    reason="langchain-core loads only the classes on its own list", raises=ValueError, strict=True
)


class TestChatVLLM(ChatModelUnitTests):
    """Everything but loading by langchain-core's list (see above)."""

    @property
    def chat_model_class(self) -> type[ChatVLLM]:
        return ChatVLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "m", "base_url": URL}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": "k"}, self.chat_model_params, {"openai_api_key": "k"}

    @NOT_ON_THE_LIST
    def test_serdes(self, model: Any, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)


class TestChatInftyThink(ChatModelUnitTests):
    """Everything but loading by langchain-core's list (see above).

    Of the standard parameters, ``api_key``, ``timeout`` and ``max_retries`` are those of the model inside, and there is
    nothing to take from the environment: ``init_from_env_params`` stays empty.
    """

    @property
    def chat_model_class(self) -> type[ChatInftyThink]:
        return ChatInftyThink

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": ChatVLLM(model="m", base_url=URL, api_key="test")}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 100, "stop": []}

    @NOT_ON_THE_LIST
    def test_serdes(self, model: Any, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)


class TestReasoningTool(ToolsUnitTests):
    """Everything."""

    @property
    def tool_constructor(self) -> BaseTool:
        return create_reasoning_tool(StreamingModel(script=["x"]))

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"question": "What is 3 + 4?"}
