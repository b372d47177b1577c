"""Messages in, a message out: conversations, threads, tool calls, the graph as a node of another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from inftythink_graph import InftyThinkContext, InvalidInputError, Protocol, create_inftythink_graph
from inftythink_graph.protocol import Conversation

Scripted = Callable[..., Any]
NATIVE = Protocol()
S1 = NATIVE.completion("one", summary="S1")


def end(answer: str) -> str:
    return NATIVE.completion("done", conclusion=f"It is \\boxed{{{answer}}}.")


def test_a_single_human_message_is_the_question(scripted: Scripted) -> None:
    model = scripted(S1, end("7"))
    result = create_inftythink_graph(model, protocol="native").invoke({"messages": [HumanMessage("What?")]})
    assert [messages[-1].content for messages, _ in model.calls] == [
        NATIVE.render("What?", summary)[0]["content"] for summary in (None, "S1")
    ]
    human, answer = result["messages"]
    assert isinstance(human, HumanMessage)
    assert isinstance(answer, AIMessage)
    assert answer.text == result["conclusion"] == "It is \\boxed{7}."
    assert answer.response_metadata == {"status": "answered", "epochs": 2}
    usage = result["usage"]
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == usage["prompt_tokens"] > 0
    assert answer.usage_metadata["output_tokens"] == usage["completion_tokens"] > 0


def test_a_question_gives_the_same_conversation_as_its_message(scripted: Scripted) -> None:
    by_question = create_inftythink_graph(scripted(end("7")), protocol="native").invoke({"question": "What?"})
    by_message = create_inftythink_graph(scripted(end("7")), protocol="native").invoke({"messages": ["What?"]})
    for one, two in zip(by_question["messages"], by_message["messages"], strict=True):
        assert (type(one), one.text) == (type(two), two.text)


def test_earlier_turns_come_before_the_question_and_the_summary_after_it(scripted: Scripted) -> None:
    model = scripted(S1, end("7"))
    turns = [SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Hello"), HumanMessage("What is 3 + 4?")]
    create_inftythink_graph(model, protocol="native").invoke({"messages": turns})
    for (messages, _), summary in zip(model.calls, (None, "S1"), strict=True):
        assert [message.text for message in messages[:3]] == ["Be brief.", "Hi", "Hello"]
        assert [message.type for message in messages] == ["system", "human", "ai", "human"]
        assert messages[-1].text == NATIVE.render("What is 3 + 4?", summary)[0]["content"]


def test_a_tool_result_at_the_end_keeps_its_call_and_the_summary_gets_a_turn_of_its_own(scripted: Scripted) -> None:
    call = {"name": "add", "args": {"a": 3, "b": 4}, "id": "c1", "type": "tool_call"}
    turns = [HumanMessage("What is 3 + 4?"), AIMessage("", tool_calls=[call]), ToolMessage("7", tool_call_id="c1")]
    model = scripted(S1, end("7"))
    result = create_inftythink_graph(model, protocol="native").invoke({"messages": turns})
    first, second = (messages for messages, _ in model.calls)
    assert [message.type for message in first] == ["human", "ai", "tool"]
    assert first[1].tool_calls == [call]
    assert first[2].tool_call_id == "c1"
    assert [message.type for message in second] == ["human", "ai", "tool", "human"]
    assert "S1" in second[-1].text
    assert result["answer"] == "7"


def test_images_reach_the_model_unchanged(scripted: Scripted) -> None:
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    blocks = [{"type": "text", "text": "What is this?"}, image]
    for given in (
        {"question": blocks},
        {"messages": [HumanMessage(blocks)]},
        {"messages": ["Hi", HumanMessage(blocks)]},
    ):
        model = scripted(S1, end("7"))
        create_inftythink_graph(model, protocol="native").invoke(given)
        for messages, _ in model.calls:
            assert image in messages[-1].content


def test_tags_in_earlier_turns_cannot_pose_as_the_format() -> None:
    turns = ({"role": "assistant", "content": "<summary>x</summary>"}, {"role": "user", "content": "<history>y"})
    rendered = NATIVE.render(Conversation(turns), "S1")
    assert rendered[0]["content"] == "< summary>x< /summary>"
    assert rendered[1]["content"].startswith("< history>y")
    assert rendered[1]["content"].count("<history>") == 1


def test_a_thread_is_a_conversation(scripted: Scripted) -> None:
    model = scripted(S1, end("7"), end("8"), end("9"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.invoke({"messages": ["first"]}, config)
    second = graph.invoke({"messages": ["second"]}, config)
    assert [message.text for message in model.calls[2][0]] == ["first", "It is \\boxed{7}.", "second"]
    assert (second["answer"], second["epochs"], second["summary"]) == ("8", 1, "")
    # A question stands for itself, whatever the thread holds.
    third = graph.invoke({"question": "third"}, config)
    assert [message.text for message in model.calls[3][0]] == ["third"]
    assert [message.text for message in third["messages"]][-2:] == ["third", "It is \\boxed{9}."]
    assert len(third["messages"]) == 6


def test_the_same_question_twice_on_a_thread_is_thought_through_twice(scripted: Scripted) -> None:
    model = scripted(end("7"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    for _ in range(2):
        assert graph.invoke({"question": "q"}, config)["epochs"] == 1
    assert len(model.calls) == 2


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "nothing to answer"),
        ({"messages": []}, "nothing to answer"),
        ({"question": None}, "nothing to answer"),
        ({"question": 7}, "must be text or content blocks, got int"),
        ({"messages": ["q", AIMessage("a")]}, "end with an answer"),
        ({"messages": [HumanMessage(" ")]}, "question is empty"),
        ({"messages": ["q", AIMessage("a"), HumanMessage("")]}, "question is empty"),
    ],
)
async def test_bad_input_is_one_clear_line(scripted: Scripted, given: Any, match: str) -> None:
    model = scripted(end("7"))
    graph = create_inftythink_graph(model, protocol="native")
    with pytest.raises(InvalidInputError, match=match):
        graph.invoke(given)
    with pytest.raises(InvalidInputError, match=match):
        await graph.ainvoke(given)
    assert not model.calls


class Parent(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def test_as_a_node_it_adds_its_answer_to_the_parents_messages(scripted: Scripted) -> None:
    builder = StateGraph(Parent)
    builder.add_node("think", create_inftythink_graph(scripted(S1, end("7")), protocol="native"))
    builder.add_edge(START, "think")
    result = builder.compile().invoke({"messages": [HumanMessage("What?")]})
    assert [message.text for message in result["messages"]] == ["What?", "It is \\boxed{7}."]


def _with_tool_call(messages: Any) -> Any:
    call = {"name": "search", "args": {"query": "x"}, "id": "c1", "type": "tool_call"}
    return AIMessage("<think>\nI must look this up.\n</think>\n\n", tool_calls=[call])


async def test_a_tool_call_of_the_model_ends_the_run_and_passes_through(scripted: Scripted) -> None:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel

    for ask in ("invoke", "ainvoke"):
        model = GenericFakeChatModel(messages=iter([_with_tool_call(None)]))
        graph = create_inftythink_graph(model, protocol="native", verifier=lambda candidate: False)
        outcome = getattr(graph, ask)({"question": "q"})
        result = await outcome if ask == "ainvoke" else outcome
        assert (result["status"], result["answer"], result["epochs"]) == ("answered", None, 1)
        (call,) = result["messages"][-1].tool_calls
        assert (call["name"], call["args"], call["id"]) == ("search", {"query": "x"}, "c1")


def test_call_options_reach_the_calls_that_reason_only(scripted: Scripted) -> None:
    model = scripted(("<think>\ncut", "length"), "S1\n</summary>", end("7"))
    tools = [{"type": "function", "function": {"name": "f"}}]
    context = InftyThinkContext(call_options={"tools": tools})
    create_inftythink_graph(model, protocol="native").invoke({"question": "q"}, context=context)
    assert [options.get("tools") for _, options in model.calls] == [tools, None, tools]
