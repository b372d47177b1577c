"""The chat model and the tool inside of somebody else's application: traced there, and otherwise unseen."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers import BaseTracer
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from streaming_chat import StreamingModel, calling

from inftythink_graph import ChatInftyThink, Protocol, create_reasoning_tool

NATIVE = Protocol()
FIRST = NATIVE.completion("one step", summary="S1")
LAST = NATIVE.completion("done", conclusion="It is \\boxed{7}.")
STEPS = [NATIVE.completion(f"step {n}", summary=f"S{n}") for n in range(30)]
SEARCHING = calling("<think>\nI must look this up.\n</think>\n\n", "search", query="x")
ASK = {"messages": [HumanMessage("What is 3 + 4?")]}


def thinker(*script: Any) -> ChatInftyThink:
    return ChatInftyThink(model=StreamingModel(script=list(script)), protocol="native")


class Runs(BaseTracer):
    """Keeps every run, with its parent."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        pass

    def _start_trace(self, run: Any) -> None:
        super()._start_trace(run)
        self.runs.append(run)

    def path(self, run: Any) -> list[str]:
        """Names from the root to the run."""
        above = next((other for other in self.runs if other.id == run.parent_run_id), None)
        return [*(self.path(above) if above else []), run.name]

    def paths(self) -> list[list[str]]:
        return [self.path(run) for run in self.runs]


class Outer(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def around(model: Any, **options: Any) -> Any:
    """A graph whose one node asks the model, and says so in its custom stream."""

    def ask(state: Outer) -> dict[str, Any]:
        get_stream_writer()("asking")
        return {"messages": [model.invoke(state["messages"])]}

    async def aask(state: Outer) -> dict[str, Any]:
        get_stream_writer()("asking")
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(Outer)
    builder.add_node("ask", RunnableLambda(ask, afunc=aask))
    builder.add_edge(START, "ask")
    return builder.compile(**options)


@pytest.fixture(params=["sync", "async"])
def streamed(request: pytest.FixtureRequest) -> Any:
    async def streamed(app: Any, given: Any, config: Any = None, **options: Any) -> list[Any]:
        if request.param == "sync":
            return list(app.stream(given, config, **options))
        return [item async for item in app.astream(given, config, **options)]

    return streamed


# The chat model


@pytest.mark.parametrize("subgraphs", [False, True])
async def test_an_outer_stream_has_the_models_own_chunks_once(streamed: Any, subgraphs: bool) -> None:
    app = around(thinker(FIRST, LAST))
    items = await streamed(app, ASK, stream_mode=["messages", "custom"], subgraphs=subgraphs)
    if subgraphs:
        assert {item[0] for item in items} == {()}
        items = [item[1:] for item in items]
    assert [payload for mode, payload in items if mode == "custom"] == ["asking"]
    chunks = [payload[0] for mode, payload in items if mode == "messages"]
    assert {payload[1]["langgraph_node"] for mode, payload in items if mode == "messages"} == {"ask"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert len(chunks) > 10
    merged = chunks[0] + chunks[1:]
    assert merged.text == "It is \\boxed{7}."
    assert [block["type"] for block in merged.content_blocks] == ["reasoning"] * 3 + ["text"]
    assert "<think>" not in str(merged.content)


async def test_no_recursion_limit_and_no_checkpointer_of_the_app_reaches_inside(streamed: Any) -> None:
    saver = InMemorySaver()
    app = around(thinker(*STEPS, LAST), checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 25}
    items = await streamed(app, ASK, config, stream_mode="values")
    assert items[-1]["messages"][-1].response_metadata["epochs"] == 31
    checkpoints = list(saver.list(None))
    assert {item.config["configurable"]["checkpoint_ns"] for item in checkpoints} == {""}
    assert len(checkpoints) == 3


async def test_what_runs_inside_is_traced_below_the_models_run(streamed: Any) -> None:
    for mode in ("values", "messages"):
        tracer = Runs()
        await streamed(around(thinker(FIRST, LAST)), ASK, {"callbacks": [tracer]}, stream_mode=mode)
        inner = [path for path in tracer.paths() if path[-1] == "StreamingModel"]
        assert len(inner) == 2, mode
        for path in inner:
            at = path.index("ChatInftyThink")
            assert path[at : at + 3] == ["ChatInftyThink", "inftythink", "reason"]


async def test_streams_of_the_model_are_traced_as_well() -> None:
    for asynchronous in (False, True):
        chain = RunnableLambda(lambda text: text) | thinker(FIRST, LAST)
        for asked, root in ((chain, "RunnableSequence"), (thinker(FIRST, LAST), "ChatInftyThink")):
            tracer = Runs()
            config: RunnableConfig = {"callbacks": [tracer], "tags": ["mine"], "run_id": uuid.uuid4()}
            if asynchronous:
                _ = [chunk async for chunk in asked.astream("q", config)]
            else:
                _ = list(asked.stream("q", config))
            inner = [path for path in tracer.paths() if path[-1] == "StreamingModel"]
            assert len(inner) == 2
            assert all(path[0] == root and "ChatInftyThink" in path for path in inner)
            assert all("mine" in run.tags for run in tracer.runs)
            assert tracer.runs[0].id == config["run_id"]
            assert sum(run.name == "ChatInftyThink" for run in tracer.runs) == 1


async def test_events_of_an_app_show_the_model_not_what_runs_inside() -> None:
    events = [event async for event in around(thinker(FIRST, LAST)).astream_events(ASK, version="v2")]
    chunks = [event["data"]["chunk"] for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(chunk.text for chunk in chunks) == "It is \\boxed{7}."
    assert {event["name"] for event in events if event["event"].startswith("on_chat_model")} == {"ChatInftyThink"}


class Starts(BaseCallbackHandler):
    """Keeps the options of every model call that it sees."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append(kwargs.get("options"))


async def test_to_other_callbacks_it_is_one_model(call: Any) -> None:
    for inside, expected in (("tracers", 1), ("all", 3)):
        starts = Starts()
        model = ChatInftyThink(model=StreamingModel(script=[FIRST, LAST]), protocol="native", callbacks_inside=inside)
        await call(model.with_config(callbacks=[starts]), "q")
        assert len(starts.seen) == expected


def test_who_adds_up_tokens_counts_none_twice() -> None:
    counter = UsageMetadataCallbackHandler()
    message = thinker(FIRST, LAST).invoke("q", {"callbacks": [counter]})
    assert counter.usage_metadata == {"inftythink(scripted)": message.usage_metadata}
    with get_usage_metadata_callback() as ambient:  # sees everything, and keeps it apart by the models' names
        thinker(FIRST, LAST).invoke("q")
    assert ambient.usage_metadata == {name: message.usage_metadata for name in ("scripted", "inftythink(scripted)")}


async def test_an_agent_whose_brain_it_is(streamed: Any) -> None:
    @tool
    def search(query: str) -> str:
        """Look something up."""
        return f"found {query}"

    saver = InMemorySaver()
    brain = thinker(FIRST, SEARCHING, FIRST, LAST)
    agent: Any = create_agent(brain, [search], checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    items = await streamed(agent, ASK, config, stream_mode=["messages", "values"])
    messages = items[-1][1]["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[1].tool_calls[0]["args"] == {"query": "x"}
    assert messages[-1].text == "It is \\boxed{7}."
    said = "".join(payload[0].text for mode, payload in items if mode == "messages" and payload[0].type != "tool")
    assert said == "It is \\boxed{7}."
    last: Any = brain.model.calls[-1][0]  # type: ignore[union-attr]
    assert [message.type for message in last[:3]] == ["human", "ai", "tool"]
    assert "one step" not in str([message.content for message in last[:3]]), "its reasoning is not asked again"
    again = await agent.ainvoke({"messages": ["And now?"]}, config)
    assert len(again["messages"]) == 6


async def test_an_agents_structured_answer() -> None:
    from pydantic import BaseModel

    class Sum(BaseModel):
        """A sum."""

        value: int

    # The name is one of those that LangChain takes for a model with a structured output of its own.
    model = StreamingModel(script=[FIRST, calling("", "Sum", value=7)], model_name="openai/gpt-4o-mini")
    agent: Any = create_agent(ChatInftyThink(model=model, protocol="native"), [], response_format=Sum)
    assert (await agent.ainvoke(ASK))["structured_response"] == Sum(value=7)


# The tool


def with_tool(*script: Any, **options: Any) -> Any:
    """An agent that asks the tool, then answers."""
    thinks = create_reasoning_tool(StreamingModel(script=list(script)), protocol="native")
    brain = StreamingModel(script=[calling("", thinks.name, question="What is 3 + 4?"), "Seven."], model_name="brain")
    return create_agent(brain, [thinks], **options)


async def test_an_agent_that_has_the_tool(streamed: Any) -> None:
    saver = InMemorySaver()
    app = with_tool(*STEPS, LAST, checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 25}
    items = await streamed(app, ASK, config, stream_mode=["messages", "custom", "values"])
    result: ToolMessage = items[-1][1]["messages"][2]
    assert (result.content, result.artifact["epochs"]) == ("It is \\boxed{7}.", 31)
    assert not [payload for mode, payload in items if mode == "custom"]
    streamed_types = {type(payload[0]) for mode, payload in items if mode == "messages"}
    assert streamed_types == {AIMessageChunk, ToolMessage}
    said = "".join(payload[0].text for mode, payload in items if mode == "messages" and payload[0].type != "tool")
    assert said == "Seven."
    checkpoints = list(saver.list(None))
    assert {item.config["configurable"]["checkpoint_ns"] for item in checkpoints} == {""}
    assert len(checkpoints) == 5  # the input, and a step of the agent's each


async def test_an_agents_subgraph_streams_have_nothing_of_the_tool(streamed: Any) -> None:
    items = await streamed(with_tool(FIRST, LAST), ASK, stream_mode=["messages", "updates"], subgraphs=True)
    assert {item[0] for item in items} == {()}


async def test_the_tools_run_is_traced_below_it(streamed: Any) -> None:
    tracer = Runs()
    await streamed(with_tool(FIRST, LAST), ASK, {"callbacks": [tracer]}, stream_mode="messages")
    inner = [path for path in tracer.paths() if "inftythink" in path and path[-1] == "StreamingModel"]
    assert len(inner) == 2
    assert all(path[path.index("inftythink") - 1] == "think_it_through" for path in inner)


async def test_a_question_that_cannot_be_asked_comes_back_to_the_agent() -> None:
    thinks = create_reasoning_tool(StreamingModel(script=[LAST]), protocol="native")
    brain = StreamingModel(
        script=[calling("", thinks.name, question=""), calling("", thinks.name, question="q"), "Seven."]
    )
    result = await create_agent(brain, [thinks]).ainvoke(ASK)  # type: ignore[arg-type]
    tools = [message for message in result["messages"] if isinstance(message, ToolMessage)]
    assert [message.status for message in tools] == ["error", "success"]
    assert isinstance(result["messages"][-1], AIMessage)
