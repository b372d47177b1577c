"""``create_reasoning_tool``: the graph as a tool that an agent calls for its hard problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

from langchain_core.callbacks import Callbacks
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import StructuredTool, ToolException
from pydantic import BaseModel, Field

from inftythink_graph._apart import arun_apart, run_apart, without_streams
from inftythink_graph.chat_model import ChatInftyThink
from inftythink_graph.errors import InvalidInputError, WindowTooSmallError
from inftythink_graph.graph import InftyThinkGraph, create_inftythink_graph
from inftythink_graph.state import InftyThinkOutput

__all__ = ["DEFAULT_DESCRIPTION", "ReasoningInput", "create_reasoning_tool", "tool_content"]

DEFAULT_DESCRIPTION = (
    "Thinks one hard problem through, step by step, for as long as it takes, and returns the answer. Use it for"
    " mathematics, counting, logic, planning and other problems that need more steps than you can do in your head. It"
    " sees nothing but the question: neither this conversation nor any files, and it has no tools."
)
"""What the calling model reads about the tool."""


class ReasoningInput(BaseModel):
    """What the tool is called with."""

    question: str = Field(
        description="The complete problem, with all the facts and numbers that it takes and what the answer should be."
    )


def create_reasoning_tool(
    graph_or_model: InftyThinkGraph | BaseChatModel,
    *,
    name: str = "think_it_through",
    description: str = DEFAULT_DESCRIPTION,
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact",
    handle_tool_error: bool | str | Callable[[ToolException], Any] = True,
    **options: Any,
) -> StructuredTool:
    """The reasoner as a tool, for ``create_agent`` and everything else that takes LangChain tools.

    It takes one ``question`` and returns the conclusion, with a note where the answer wasn't accepted. The artifact
    holds ``answer``, ``status``, ``epochs``, ``usage``, ``summary`` and, if the graph keeps one, the ``trace``. The run
    appears in the application's traces; its streams, its checkpoints and its recursion limit are none of the
    application's.

    Args:
        graph_or_model: a graph, or a chat model to make one with. A graph's checkpointer isn't used.
        name: what the calling model calls it.
        description: what the calling model reads about it.
        response_format: ``content`` leaves the artifact out.
        handle_tool_error: as in LangChain's tools. What the calling model can mend (an empty question, one that is too
            long) comes back to it as text; False raises ``ToolException``. All other errors are raised in any case.
        options: as in :func:`~inftythink_graph.graph.create_inftythink_graph`; only with a model.

    Raises:
        InvalidInputError: an option is outside what is allowed, or was given together with a graph.
    """
    graph = _graph(graph_or_model, options)
    with_artifact = response_format == "content_and_artifact"

    def think(question: str, callbacks: Callbacks = None) -> Any:
        _check(question)
        try:
            result = run_apart(graph, {"question": question}, _quiet(callbacks))
        except (WindowTooSmallError, ContextOverflowError) as error:
            raise _too_long(error) from error
        return _outcome(result, with_artifact)

    async def athink(question: str, callbacks: Callbacks = None) -> Any:
        _check(question)
        try:
            result = await arun_apart(graph, {"question": question}, _quiet(callbacks))
        except (WindowTooSmallError, ContextOverflowError) as error:
            raise _too_long(error) from error
        return _outcome(result, with_artifact)

    return StructuredTool(
        name=name,
        description=description,
        args_schema=ReasoningInput,
        func=think,
        coroutine=athink,
        response_format=response_format,
        handle_tool_error=handle_tool_error,
        handle_validation_error=bool(handle_tool_error),
    )


def tool_content(result: InftyThinkOutput) -> str:
    """What the calling model reads: the conclusion, and how far it can be relied on."""
    conclusion, status, epochs = result["conclusion"], result["status"], result["epochs"]
    if status == "answered":
        return conclusion
    why = {
        "rejected": "this answer did not pass its check",
        "exhausted": f"the reasoning was cut off after {epochs} rounds",
        "stalled": f"the reasoning made no more progress after {epochs} rounds",
    }[status]
    if conclusion:
        return f"{conclusion}\n\nNote: {why}. The answer may be wrong."
    reached = result["summary"] or "nothing"
    return f"No answer: {why}. What was reached so far: {reached}"


def _graph(given: InftyThinkGraph | BaseChatModel, options: dict[str, Any]) -> InftyThinkGraph:
    if isinstance(given, ChatInftyThink):
        raise InvalidInputError("create_reasoning_tool takes a graph, or the model that thinks, not a ChatInftyThink")
    if not isinstance(given, InftyThinkGraph):
        return create_inftythink_graph(given, **{**options, "checkpointer": False})
    if options:
        raise InvalidInputError(f"{', '.join(options)}: a graph brings its own settings; give them to it")
    return given.copy({"checkpointer": False})


def _quiet(callbacks: Callbacks) -> BaseCallbackManager | None:
    # A tool that runs hands its function a manager, made for this call alone.
    return None if callbacks is None else without_streams(cast(BaseCallbackManager, callbacks))


def _check(question: str) -> None:
    if not question.strip():
        raise ToolException("The question is empty. Give the complete problem as text.")


def _too_long(error: Exception) -> ToolException:
    return ToolException(f"The question is too long to be thought about: {error}")


def _outcome(result: Any, with_artifact: bool) -> Any:
    """Content, and the artifact where one is wanted."""
    content = tool_content(result)
    kept = ("answer", "status", "epochs", "usage", "summary", "trace")
    return (content, {key: result[key] for key in kept if key in result}) if with_artifact else content
