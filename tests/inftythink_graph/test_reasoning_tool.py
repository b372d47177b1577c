"""create_reasoning_tool: what goes in, what comes out, what an agent sees of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from streaming_chat import StreamingModel

from inftythink_graph import (
    ChatInftyThink,
    InvalidInputError,
    Protocol,
    ServerUnavailableError,
    create_inftythink_graph,
    create_reasoning_tool,
)
from inftythink_graph.models import ModelInfo

NATIVE = Protocol()
FIRST = NATIVE.completion("one step", summary="S1")
LAST = NATIVE.completion("done", conclusion="It is \\boxed{7}.")
QUESTION = {"question": "What is 3 + 4?"}


def thinker(*script: Any, **fields: Any) -> StreamingModel:
    return StreamingModel(script=list(script), **fields)


@pytest.fixture(params=["invoke", "ainvoke"])
def use(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Both ways to call a tool; returns the ToolMessage."""

    async def use(tool: Any, **args: Any) -> ToolMessage:
        call = {"name": tool.name, "args": args, "id": "c1", "type": "tool_call"}
        message = tool.invoke(call) if request.param == "invoke" else await tool.ainvoke(call)
        assert isinstance(message, ToolMessage)
        return message

    return use


def test_a_model_reads_what_it_is_for() -> None:
    function = convert_to_openai_tool(create_reasoning_tool(thinker(LAST)))["function"]
    assert function["name"] == "think_it_through"
    assert "nothing but the question" in function["description"]
    assert function["parameters"]["required"] == ["question"]
    (question,) = function["parameters"]["properties"].values()
    assert question["type"] == "string"
    assert "complete problem" in question["description"]
    assert create_reasoning_tool(thinker(LAST), name="prove", description="Proves.").name == "prove"


async def test_the_conclusion_is_the_content_and_the_rest_the_artifact(use: Any) -> None:
    message = await use(create_reasoning_tool(thinker(FIRST, LAST), protocol="native"), **QUESTION)
    assert (message.content, message.status) == ("It is \\boxed{7}.", "success")
    artifact = message.artifact
    assert (artifact["answer"], artifact["status"], artifact["epochs"], artifact["summary"]) == (
        "7",
        "answered",
        2,
        "S1",
    )
    assert artifact["usage"]["requests"] == 2
    assert "trace" not in artifact
    graph = create_inftythink_graph(thinker(FIRST, LAST), protocol="native", keep_trace=True)
    message = await use(create_reasoning_tool(graph), **QUESTION)
    assert [record["epoch"] for record in message.artifact["trace"]] == [1, 2]
    plain = create_reasoning_tool(thinker(FIRST, LAST), protocol="native", response_format="content")
    assert (await use(plain, **QUESTION)).artifact is None


async def test_an_answer_that_was_not_accepted_says_so(use: Any) -> None:
    rejected = create_reasoning_tool(thinker(LAST), protocol="native", max_epochs=1, verifier=lambda _: False)
    message = await use(rejected, **QUESTION)
    assert message.content == "It is \\boxed{7}.\n\nNote: this answer did not pass its check. The answer may be wrong."
    forced = create_reasoning_tool(thinker(FIRST, "\\boxed{8}"), protocol="native", max_epochs=1)
    content = (await use(forced, **QUESTION)).content
    assert content == "\\boxed{8}\n\nNote: the reasoning was cut off after 1 rounds. The answer may be wrong."
    nothing = create_reasoning_tool(
        thinker(FIRST, FIRST.replace("S1", "S2"), FIRST), protocol="native", max_epochs=2, on_exhausted="return"
    )
    content = (await use(nothing, **QUESTION)).content
    assert content == "No answer: the reasoning was cut off after 2 rounds. What was reached so far: S1"
    stalled = create_reasoning_tool(thinker(FIRST), protocol="native", on_exhausted="return")
    assert "no more progress after" in (await use(stalled, **QUESTION)).content


class Overflowing(StreamingModel):
    """A model whose window nobody knew."""

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        raise ContextOverflowError("the prompt has 99 tokens")


async def test_what_the_calling_model_can_mend_comes_back_to_it(use: Any) -> None:
    small = thinker(LAST, info=ModelInfo(window=2100, prefill=True))
    unknown = Overflowing(script=[])
    long = "word " * 2000
    for model, question, expected in (
        (small, " ", "The question is empty. Give the complete problem as text."),
        (small, long, "The question is too long to be thought about: the model's window of 2100 tokens"),
        (unknown, long, "The question is too long to be thought about: the prompt has 99 tokens"),
    ):
        tool = create_reasoning_tool(model, protocol="native", eta=100, summary_budget=50)
        message = await use(tool, question=question)
        assert message.status == "error"
        assert str(message.content).startswith(expected)
        strict = create_reasoning_tool(model, protocol="native", eta=100, summary_budget=50, handle_tool_error=False)
        with pytest.raises(ToolException, match=expected.split(":")[0]):
            await use(strict, question=question)
    message = await use(create_reasoning_tool(small, protocol="native"))
    assert message.status == "error"
    own_words = create_reasoning_tool(small, protocol="native", handle_tool_error="Shorter, please.")
    assert (await use(own_words, question=long)).content == "Shorter, please."


async def test_all_other_errors_are_raised(use: Any, build: Callable[..., Any]) -> None:
    nowhere = create_reasoning_tool(build(base_url="http://127.0.0.1:9/v1"))
    with pytest.raises((ServerUnavailableError, openai.APIConnectionError)):
        await use(nowhere, **QUESTION)


@pytest.mark.parametrize(
    ("given", "options", "match"),
    [
        (thinker(LAST), {"max_epochs": 0}, "max_epochs must be at least 1"),
        (create_inftythink_graph(thinker(LAST)), {"eta": 9}, "eta: a graph brings its own settings"),
        (ChatInftyThink(model=thinker(LAST)), {}, "not a ChatInftyThink"),
    ],
)
def test_options_that_make_no_sense(given: Any, options: Any, match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        create_reasoning_tool(given, **options)


def test_a_graphs_own_checkpointer_is_left_alone() -> None:
    saver = InMemorySaver()
    graph = create_inftythink_graph(thinker(LAST), protocol="native", checkpointer=saver)
    assert create_reasoning_tool(graph).invoke(QUESTION) == "It is \\boxed{7}."
    assert not list(saver.list(None))
