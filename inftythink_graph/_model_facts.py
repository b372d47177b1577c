"""What ``ChatInftyThink`` says of the model inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import BaseMessage, convert_to_openai_messages

from inftythink_graph.models.base import DescribesItself

__all__ = ["count_messages", "name", "profile"]


def name(model: BaseChatModel) -> str:
    """The model's name; its class's where it has none."""
    told = model._get_ls_params().get("ls_model_name")
    folder = getattr(model, "model_path", None)
    return str(told or (Path(folder).name if folder else "") or type(model).__name__)


def profile(model: BaseChatModel) -> dict[str, Any]:
    """The model's profile. Its reasoning shows, and a structured output takes a tool."""
    known = dict(model.profile or {})
    tools = type(model).bind_tools is not BaseChatModel.bind_tools
    return {"tool_calling": tools, **known, "reasoning_output": True, "structured_output": False}


def count_messages(
    model: BaseChatModel, messages: Sequence[BaseMessage], tools: Sequence[Any] | None, **kwargs: Any
) -> int:
    """Tokens of a prompt, counted by the model itself where it can."""
    own = type(model).get_num_tokens_from_messages is not BaseLanguageModel.get_num_tokens_from_messages
    if not own and isinstance(model, DescribesItself) and not tools:
        return model.count_prompt_tokens(convert_to_openai_messages(list(messages), text_format="string"))
    return model.get_num_tokens_from_messages(list(messages), tools, **kwargs)
