"""ChatInftyThink: one message of a run, its options, its tools; streams that add up to it."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, ValidationError
from streaming_chat import StreamingModel, calling

from inftythink_graph import (
    ChatInftyThink,
    ChatVLLM,
    InvalidInputError,
    Protocol,
    Verdict,
    WindowTooSmallError,
    create_inftythink_graph,
)
from inftythink_graph._answer_text import StopAt
from inftythink_graph.models import ModelInfo

Ask = Callable[..., Any]
NATIVE = Protocol()
FIRST = NATIVE.completion("one step\nand another", summary="S1")
CUT = ("<think>\ncut here", "length")
LAST = NATIVE.completion("done", conclusion="It is \\boxed{7}.")
WRONG = NATIVE.completion("hm", conclusion="It is \\boxed{6}.")
SCRIPT = (FIRST, CUT, "S2\n</summary>", LAST)


def chat(*script: Any, **fields: Any) -> ChatInftyThink:
    return ChatInftyThink(model=StreamingModel(script=list(script)), protocol="native", **fields)


def calls(model: ChatInftyThink) -> list[Any]:
    assert isinstance(model.model, StreamingModel)
    return model.model.calls


def told(message: AIMessage) -> list[tuple[Any, ...]]:
    """The blocks of a message, reasoning with its part and epoch."""
    return [
        (*block["extras"].values(), block["reasoning"])
        if block["type"] == "reasoning"
        else (block["type"], block.get("text"))
        for block in message.content_blocks  # type: ignore[typeddict-item]
    ]


REASONING = [
    ("segment", 1, "one step\nand another"),
    ("summary", 1, "S1"),
    ("segment", 2, "cut here"),
    ("summary", 2, "S2"),
    ("segment", 3, "done"),
]


async def test_one_message_tells_the_run(call: Ask) -> None:
    message = await call(chat(*SCRIPT), "q")
    assert message.text == "It is \\boxed{7}."
    assert told(message) == [*REASONING, ("text", "It is \\boxed{7}.")]
    assert message.response_metadata == {
        "status": "answered",
        "epochs": 3,
        "finish_reason": "stop",
        "model_name": "inftythink(scripted)",
        "model_provider": "inftythink",
        "output_version": "v1",
    }


async def test_streams_add_up_to_the_message() -> None:
    whole = chat(*SCRIPT).invoke("q")
    for fields in ({}, {"include_reasoning": False}, {"output_version": "v0"}):
        whole = chat(*SCRIPT, **fields).invoke("q")
        chunks = list(chat(*SCRIPT, **fields).stream("q"))
        async_chunks = [chunk async for chunk in chat(*SCRIPT, **fields).astream("q")]
        for pieces in (chunks, async_chunks):
            merged: Any = pieces[0] + pieces[1:]
            assert isinstance(merged, AIMessageChunk)
            for name in ("content", "content_blocks", "text", "usage_metadata", "response_metadata", "tool_calls"):
                assert getattr(merged, name) == getattr(whole, name), name
            assert sum(chunk.usage_metadata is not None for chunk in pieces) == 1
            assert pieces[-1].usage_metadata == whole.usage_metadata
            assert pieces[-1].chunk_position == "last"


def test_usage_is_that_of_all_requests() -> None:
    model = chat(*SCRIPT)
    usage = model.invoke("q").usage_metadata
    assert usage is not None
    words = [sum(len(str(message.content).split()) for message in messages) for messages, _ in calls(model)]
    assert usage["input_tokens"] == sum(words) > 0
    assert usage["input_token_details"] == {"cache_read": 4}
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_tokens_come_while_they_are_written() -> None:
    model = chat(*SCRIPT)
    chunks = list(model.stream("q"))
    assert len(chunks) > 2 * len(REASONING)
    assert all(model.model.streamed)  # type: ignore[union-attr]
    text = [chunk.text for chunk in chunks if chunk.text]
    assert len(text) > 3
    assert "".join(text) == "It is \\boxed{7}."


def test_without_reasoning_the_content_is_the_answer() -> None:
    model = chat(*SCRIPT, include_reasoning=False)
    assert model.invoke("q").content == "It is \\boxed{7}."
    assert "".join(str(chunk.content) for chunk in model.stream("q")) == "It is \\boxed{7}."


def test_in_a_chain_the_answer_is_the_text() -> None:
    chain = ChatPromptTemplate.from_template("What is {x}?") | chat(FIRST, LAST) | StrOutputParser()
    assert chain.invoke({"x": "3 + 4"}) == "It is \\boxed{7}."
    assert "".join(chain.stream({"x": "3 + 4"})) == "It is \\boxed{7}."


async def test_the_conversation_is_the_question(call: Ask) -> None:
    turns = [SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Hello"), HumanMessage("What?")]
    model = chat(FIRST, LAST)
    await call(model, turns)
    for messages, _ in calls(model):
        assert [message.text for message in messages[:3]] == ["Be brief.", "Hi", "Hello"]
    assert all(turn.id is None for turn in turns), "the caller's messages are the caller's"


def test_a_message_of_its_own_goes_back_in_without_its_reasoning() -> None:
    model = chat(*SCRIPT)
    answer = model.invoke("q")
    again = chat(LAST)
    again.invoke([HumanMessage("q"), answer, HumanMessage("sure?")])
    assert [message.text for message in calls(again)[0][0]] == ["q", "It is \\boxed{7}.", "sure?"]
    assert "one step" not in str(calls(again)[0][0])


async def test_a_rejected_answer_is_never_said(call: Ask) -> None:
    def judge(candidate: Any) -> Verdict:
        return Verdict(candidate.answer == "7", "not seven")

    model = chat(WRONG, "S1\n</summary>", LAST, verifier=judge)
    assert "6" not in "".join(chunk.text for chunk in model.stream("q"))
    message = await call(chat(WRONG, "S1\n</summary>", LAST, verifier=judge), "q")
    assert message.text == "It is \\boxed{7}."
    assert "was checked and rejected: not seven" in told(message)[1][2]
    rejected = await call(chat(WRONG, verifier=judge, max_epochs=1), "q")
    assert (rejected.text, rejected.response_metadata["finish_reason"]) == ("It is \\boxed{6}.", "length")
    assert rejected.response_metadata["status"] == "rejected"


HALF = ("<think>\nthought\n</think>\n\nThe answer is", "length")


async def test_what_turns_out_to_be_no_answer_is_marked() -> None:
    """Cut off before its box: the run goes on. What was said live can't be unsaid."""
    script = (HALF, "S1\n</summary>", LAST)
    whole = chat(*script).invoke("q")
    assert whole.text == "It is \\boxed{7}."
    pieces = [chunk async for chunk in chat(*script).astream("q")]
    merged: Any = pieces[0] + pieces[1:]
    texts = [block for block in merged.content_blocks if block["type"] == "text"]
    assert [block["text"] for block in texts] == ["The answer is\n\n", "It is \\boxed{7}."]
    assert [block.get("extras") for block in texts] == [{"superseded": True}, None]
    settled = list(chat(*script, answer_streaming="whole").stream("q"))
    assert (settled[0] + settled[1:]).content == whole.content


async def test_out_of_epochs_is_a_length(call: Ask) -> None:
    forced = await call(chat(FIRST, "It is \\boxed{8}.", max_epochs=1), "q")
    assert (forced.text, forced.response_metadata["status"]) == ("It is \\boxed{8}.", "exhausted")
    assert forced.response_metadata["finish_reason"] == "length"
    nothing = await call(chat(FIRST, max_epochs=1, on_exhausted="return"), "q")
    assert nothing.text == ""
    assert told(nothing) == REASONING[:1]


async def test_a_run_generates_no_more_tokens_than_it_may(call: Ask) -> None:
    model = chat(FIRST, FIRST.replace("S1", "S2"), LAST, max_tokens=11, on_exhausted="return")
    message = await call(model, "q")
    assert message.response_metadata["status"] == "exhausted"
    limits = [options["max_tokens"] for _, options in calls(model)]
    used = [len(FIRST.split())] * 2
    assert limits == [11, 11 - used[0]]
    assert (await call(chat(LAST), "q", max_completion_tokens=1000)).text == "It is \\boxed{7}."
    with pytest.raises(InvalidInputError, match="max_tokens must be at least 1"):
        await call(chat(LAST), "q", max_tokens=0)


async def test_options_of_a_call(call: Ask) -> None:
    model = chat(FIRST, LAST, temperature=0.5)
    await call(model, "q", temperature=0.1, top_p=0.9, seed=5, eta=77, summary_budget=9, extra_body={"x": 1})
    for epoch, (_, options) in enumerate(calls(model), 1):
        assert (options["temperature"], options["top_p"], options["seed"]) == (0.1, 0.9, 5 + epoch)
        assert options["max_tokens"] == 77 + 9 + 16
        assert options["extra_body"] == {"x": 1}
    assert (await call(chat(FIRST), "q", max_epochs=1, on_exhausted="return")).response_metadata["epochs"] == 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model": "other"}, "make another ChatInftyThink"),
        ({"n": 2}, "use batch"),
        ({"logprobs": True}, "ask the model itself"),
        ({"response_format": {"type": "json_object"}}, "with_structured_output"),
        ({"thinking_token_budget": 5}, "eta"),
        ({"verifier": bool}, "when ChatInftyThink is made"),
        ({"temperature": -1}, "temperature must be at least 0"),
        ({"stop": [""]}, "at least one character"),
    ],
)
async def test_options_that_make_no_sense(call: Ask, options: Any, match: str) -> None:
    model = chat(LAST)
    with pytest.raises(InvalidInputError, match=match):
        await call(model.bind(**options), "q")
    assert not calls(model)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({}, "exactly one"),
        ({"model": StreamingModel(script=[]), "max_epochs": 0}, "max_epochs must be at least 1"),
        ({"model": StreamingModel(script=[]), "protocol": "spoken"}, "spoken|native"),
        ({"model": StreamingModel(script=[]), "max_epoch": 3}, "max_epoch"),
        ({"model": StreamingModel(script=[]), "stop": [""]}, "at least one character"),
        ({"graph": create_inftythink_graph(StreamingModel(script=[])), "eta": 5}, "eta: a graph brings its own"),
        ({"graph": create_inftythink_graph(StreamingModel(script=[])), "model": StreamingModel(script=[])}, "exactly"),
    ],
)
def test_fields_that_make_no_sense(fields: Any, match: str) -> None:
    with pytest.raises((InvalidInputError, ValidationError), match=match):
        ChatInftyThink(**fields)


async def test_stop_sequences_end_the_answer_not_the_reasoning(call: Ask) -> None:
    for fields, options in (({"stop": ["boxed", "and"]}, {}), ({"stop": ["is"]}, {"stop": ["boxed", "and"]})):
        message = await call(chat(*SCRIPT, **fields), "q", **options)
        assert message.text == "It is \\"
        assert told(message)[:-1] == REASONING
        assert message.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize(
    ("stop", "expected"),
    [(["END"], "one EN two "), (["two"], "one EN "), ([], "one EN two END three"), (["x", "EN t", "o END"], "one ")],
)
def test_a_stop_sequence_is_found_across_pieces(size: int, stop: list[str], expected: str) -> None:
    text = "one EN two END three"
    filtered = StopAt(stop)
    pieces = [filtered.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*pieces, filtered.close()]) == expected
    assert filtered.stopped == (expected != text)


# Tools


@tool
def search(query: str) -> str:
    """Look something up."""
    return query


SEARCHING = calling("<think>\nI must look this up.\n</think>\n\n", "search", query="x")


async def test_a_tool_call_comes_back(call: Ask) -> None:
    bound: Any = chat(FIRST, SEARCHING).bind_tools([search], tool_choice="auto")
    message = await call(bound, "q")
    assert [(made["name"], made["args"], made["id"]) for made in message.tool_calls] == [
        ("search", {"query": "x"}, "c1")
    ]
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert [block["type"] for block in message.content_blocks] == ["reasoning"] * 3 + ["tool_call"]
    for _, options in calls(bound.bound):
        assert [item["function"]["name"] for item in options["tools"]] == ["search"]
        assert options["tool_choice"] == "auto"


async def test_text_beside_a_tool_call_is_kept(call: Ask) -> None:
    script = calling("<think>\nhm\n</think>\n\nLet me look.", "search", query="x")
    bound: Any = chat(script, include_reasoning=False).bind_tools([search])
    message = await call(bound, "q")
    assert (message.content, len(message.tool_calls)) == ("Let me look.", 1)


async def test_structured_output_takes_a_tool(call: Ask) -> None:
    class Person(BaseModel):
        """A person."""

        name: str
        age: int

    for method in ("function_calling", "json_schema", "json_mode"):
        model = chat(calling("", "Person", name="Ada", age=36))
        structured = model.with_structured_output(Person, method=method)
        assert structured.invoke("q") == Person(name="Ada", age=36)
        assert [chunk async for chunk in structured.astream("q")][-1] == Person(name="Ada", age=36)
        assert {options["tool_choice"] for _, options in calls(model)} == {"any"}


def test_a_model_without_tools_says_so() -> None:
    model = ChatInftyThink(model=FakeListChatModel(responses=["x"]))
    with pytest.raises(NotImplementedError, match="FakeListChatModel can't call tools"):
        model.bind_tools([search])
    assert model.profile is not None
    assert not model.profile["tool_calling"]
    assert chat(LAST).profile == {"tool_calling": True, "reasoning_output": True, "structured_output": False}


# The rest of what a chat model is


async def test_a_graph_of_ones_own(call: Ask) -> None:
    saver = InMemorySaver()
    graph = create_inftythink_graph(
        StreamingModel(script=[FIRST, LAST]), protocol="native", max_epochs=7, checkpointer=saver
    )
    model = ChatInftyThink(graph=graph)
    assert (await call(model, "q")).text == "It is \\boxed{7}."
    assert not list(saver.list(None))
    assert graph.checkpointer is saver


def test_long_runs_need_no_recursion_limit() -> None:
    steps = [NATIVE.completion(f"step {n}", summary=f"S{n}") for n in range(40)]
    chain = ChatPromptTemplate.from_template("{q}") | chat(*steps, LAST)
    assert chain.invoke({"q": "q"}, {"recursion_limit": 25}).response_metadata["epochs"] == 41


async def test_many_at_once() -> None:
    model = chat(LAST)
    assert [message.text for message in model.batch(["a", "b", "c"])] == ["It is \\boxed{7}."] * 3
    messages = await asyncio.gather(*(model.ainvoke(name) for name in "abc"))
    assert [message.text for message in messages] == ["It is \\boxed{7}."] * 3


async def test_a_consumer_that_goes_away_ends_the_run() -> None:
    model = chat(*[NATIVE.completion(f"step {n}", summary=f"S{n}") for n in range(1000)], max_epochs=1000)
    stream = model.astream("q")
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]
    before = len(calls(model))
    await asyncio.sleep(0.2)
    assert len(calls(model)) == before < 1000
    sync = model.stream("q")
    next(sync)
    sync.close()  # type: ignore[attr-defined]
    before = len(calls(model))
    await asyncio.sleep(0.2)
    assert len(calls(model)) == before


async def test_errors_are_the_graphs(call: Ask) -> None:
    with pytest.raises(InvalidInputError, match="question is empty"):
        await call(chat(LAST), " ")
    with pytest.raises(InvalidInputError, match="end with an answer"):
        await call(chat(LAST), [HumanMessage("q"), AIMessage("a")])
    small = StreamingModel(script=[LAST], info=ModelInfo(window=64, prefill=True))
    with pytest.raises(WindowTooSmallError):
        await call(ChatInftyThink(model=small, protocol="native"), "q")


def test_tokens_are_counted_by_the_model_inside() -> None:
    assert chat(LAST).get_num_tokens_from_messages([HumanMessage("one two three")]) == 3


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_it_is_saved_and_loaded_as_other_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    inner = ChatVLLM(model="m", base_url="http://127.0.0.1:1/v1")
    model = ChatInftyThink(model=inner, max_epochs=7, protocol="native", stop=["x"])
    copy = load(dumpd(model), valid_namespaces=["inftythink_graph"], allowed_objects=[ChatInftyThink, ChatVLLM])
    assert isinstance(copy, ChatInftyThink)
    assert copy.asdict() == model.asdict()
    plain = ChatInftyThink(model=StreamingModel(script=[LAST]), protocol="native")
    assert pickle.loads(pickle.dumps(plain)).invoke("q").text == "It is \\boxed{7}."


def test_a_cache_tells_settings_and_verifiers_apart() -> None:
    from langchain_core.caches import InMemoryCache

    cache = InMemoryCache()
    first = chat(LAST, cache=cache)
    assert first.invoke("q").text == first.invoke("q").text
    assert len(calls(first)) == 1
    for fields in ({"max_epochs": 3}, {"verifier": lambda candidate: True}, {"include_reasoning": False}):
        other = chat(LAST, cache=cache, **fields)
        other.invoke("q")
        assert len(calls(other)) == 1, fields


def test_what_traces_say_of_it(build: Callable[..., Any]) -> None:
    params = ChatInftyThink(model=build(), temperature=0.5, max_tokens=9, stop=["x"])._get_ls_params()
    assert params == {
        "ls_provider": "inftythink",
        "ls_model_name": "inftythink(m)",
        "ls_model_type": "chat",
        "ls_temperature": 0.5,
        "ls_max_tokens": 9,
        "ls_stop": ["x"],
    }
