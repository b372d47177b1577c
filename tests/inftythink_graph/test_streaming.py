"""Streams: tokens told apart, events, nothing that leaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from inftythink_graph import Protocol, Verdict, create_inftythink_graph
from inftythink_graph.protocol import PartStream, parse

Scripted = Callable[..., Any]
NATIVE = Protocol()
WORDS = st.text(alphabet="ab <>/\n=5", min_size=1, max_size=40).map(str.strip).filter(bool)
FIRST = NATIVE.completion("one step\nand another", summary="S1")
CUT = "<think>\ncut here"
LAST = NATIVE.completion("done", conclusion="It is \\boxed{7}.")


def chunks_of(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


def joined(stream: PartStream, pieces: list[str]) -> dict[str, str]:
    parts: dict[str, str] = {}
    for piece in pieces:
        for part, text in stream.feed(piece):
            parts[part] = parts.get(part, "") + text
    for part, text in stream.close():
        parts[part] = parts.get(part, "") + text
    return parts


@given(WORDS, WORDS, st.booleans(), st.lists(st.integers(0, 500), max_size=30))
def test_the_parts_of_a_stream_are_those_of_the_whole(segment: str, other: str, ends: bool, cuts: list[int]) -> None:
    text = NATIVE.completion(segment, **({"conclusion": other} if ends else {"summary": other}))
    whole = parse(text)
    expected = {"segment": whole.segment, "summary": whole.summary, "conclusion": whole.conclusion}
    for opened in (text, text.removeprefix("<think>")):  # the chat template may have opened the thought
        parts = joined(PartStream(), chunks_of(opened, cuts))
        assert parts == {part: value for part, value in expected.items() if value}


@given(st.text(), st.lists(st.integers(0, 500), max_size=30), st.sampled_from(["segment", "summary", "conclusion"]))
def test_no_text_breaks_it_and_no_tag_gets_through(text: str, cuts: list[int], asked: Any) -> None:
    noisy = text.replace("a", "<think>").replace("b", "</think>").replace("c", "<summary>").replace("d", "</summary>")
    for value in joined(PartStream(asked), chunks_of(noisy, cuts)).values():
        assert "<think>" not in value
        assert value == value.strip()


def test_reasoning_in_a_field_of_its_own() -> None:
    stream = PartStream()
    assert stream.feed("", reasoning="I think") == [("segment", "I think")]
    assert stream.feed("", reasoning=" so.\n") == [("segment", " so.")]
    assert stream.feed("\n\nIt is 7.") == [("conclusion", "It is 7.")]
    stream = PartStream()
    stream.feed("", reasoning="I think")
    assert stream.feed("\n<summary>\nS1\n</summary>") == [("summary", "S1")]


@pytest.mark.parametrize("asked", ["summary", "conclusion"])
def test_what_is_asked_for_alone_comes_alone(asked: Any) -> None:
    assert joined(PartStream(asked), ["the te", "xt\n"]) == {asked: "the text"}
    assert joined(PartStream(asked), ["<think>hm</think>\n\n", "the text"]) == {asked: "the text"}
    assert joined(PartStream(asked), ["<think>hm</think>\n\n", "<"]) == {asked: "<"}
    assert joined(PartStream("summary"), ["the text\n</summ", "ary> more"]) == {"summary": "the text"}


class Streaming(GenericFakeChatModel):
    """Streams a script, three characters at a time."""

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        text = str(next(self.messages))
        text, _, reason = text.partition("|")
        for start in range(0, len(text), 3):
            chunk = ChatGenerationChunk(message=AIMessageChunk(text[start : start + 3]))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
        end = AIMessageChunk("", response_metadata={"finish_reason": reason or "stop"}, chunk_position="last")
        yield ChatGenerationChunk(message=end)


def streaming(*script: str) -> Streaming:
    return Streaming(messages=iter(script))  # type: ignore[arg-type]


def collect(stream: Any) -> tuple[dict[str, str], list[Any]]:
    """Texts by message id, and the chunks."""
    texts: dict[str, str] = {}
    chunks = []
    for chunk, metadata in stream:
        blocks = chunk.content if isinstance(chunk.content, list) else [{"reasoning": chunk.content}]
        label = f"{chunk.id.split(':')[1]} {chunk.name}"
        texts[label] = texts.get(label, "") + "".join(block["reasoning"] for block in blocks)
        chunks.append((chunk, metadata))
    return texts, chunks


EXPECTED = {
    "1 segment": "one step\nand another",
    "1 summary": "S1",
    "2 segment": "cut here",
    "2 summary": "S2",
    "3 segment": "done",
    "3 conclusion": "It is \\boxed{7}.",
}
SCRIPT = (FIRST, f"{CUT}|length", "S2\n</summary>", LAST)


def test_tokens_come_one_by_one_and_told_apart() -> None:
    graph = create_inftythink_graph(streaming(*SCRIPT), protocol="native")
    texts, chunks = collect(graph.stream({"question": "q"}, stream_mode="messages"))
    assert texts == EXPECTED
    assert len(chunks) > 2 * len(EXPECTED)
    assert {metadata["langgraph_node"] for _, metadata in chunks} == {"reason", "summarize"}
    answer = "".join(chunk.text for chunk, _ in chunks)
    assert answer == "It is \\boxed{7}."  # whoever prints texts prints the answer


async def test_the_same_asynchronously() -> None:
    graph = create_inftythink_graph(streaming(*SCRIPT), protocol="native")
    items = [item async for item in graph.astream({"question": "q"}, stream_mode="messages")]
    assert collect(items)[0] == EXPECTED


def test_a_model_that_does_not_stream_gives_whole_parts(scripted: Scripted) -> None:
    model = scripted(FIRST, (CUT, "length"), "S2\n</summary>", LAST)
    graph = create_inftythink_graph(model, protocol="native")
    texts, chunks = collect(graph.stream({"question": "q"}, stream_mode="messages"))
    assert texts == EXPECTED
    assert len(chunks) == len(EXPECTED)


def test_nobody_streams_unless_asked_to() -> None:
    class Whole(Streaming):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            raise AssertionError("streamed")

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            self.messages = iter([AIMessage(LAST)])
            return super()._generate(messages, stop, run_manager, **kwargs)

    graph = create_inftythink_graph(Whole(messages=iter([])), protocol="native")
    assert graph.invoke({"question": "q"})["answer"] == "7"
    assert list(graph.stream({"question": "q"}, stream_mode="custom"))


def test_a_parent_graph_sees_the_tokens_of_its_subgraph_told_apart() -> None:
    from langgraph.graph import START, MessagesState, StateGraph

    builder = StateGraph(MessagesState)
    builder.add_node("think", create_inftythink_graph(streaming(*SCRIPT), protocol="native"))
    builder.add_edge(START, "think")
    parent = builder.compile()
    inner = [item for ns, item in parent.stream({"messages": ["q"]}, stream_mode="messages", subgraphs=True) if ns]
    assert collect(inner)[0] == EXPECTED


EVENTS = [
    ("epoch_started", 1),
    ("segment_done", 1),
    ("summary_done", 1),
    ("epoch_started", 2),
    ("segment_done", 2),
    ("answer_rejected", 2),
    ("summary_done", 2),
    ("epoch_started", 3),
    ("segment_done", 3),
    ("run_ended", 3),
]


@pytest.fixture
def judged(scripted: Scripted) -> Any:
    def judge(candidate: Any) -> Verdict:
        return Verdict(candidate.answer == "7", "not seven")

    wrong = NATIVE.completion("hm", conclusion="It is \\boxed{6}.")
    return create_inftythink_graph(scripted(FIRST, wrong, "S2\n</summary>", LAST), protocol="native", verifier=judge)


async def _all(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_events_tell_the_run(judged: Any, asynchronous: bool) -> None:
    if asynchronous:
        events = await _all(judged.astream({"question": "q"}, stream_mode="custom"))
    else:
        events = list(judged.stream({"question": "q"}, stream_mode="custom"))
    assert [(event["event"], event["epoch"]) for event in events] == EVENTS
    assert events[0]["max_epochs"] == 50
    assert events[1]["segment"] == "one step\nand another"
    assert events[3]["summary"] == "S1" == events[2]["summary"]
    assert (events[5]["answer"], events[5]["reason"]) == ("6", "not seven")
    assert events[5]["usage"]["requests"] == 1
    assert (events[-1]["status"], events[-1]["answer"]) == ("answered", "7")
    assert events[-1]["usage"]["requests"] == 4
    assert (
        events[-1]["usage"]["sum_tokens"]
        == sum(e["usage"]["sum_tokens"] for e in events[:-1] if e["event"] in DONE)
        + (events[-2]["usage"]["sum_tokens"])
    )


DONE = ("summary_done",)
