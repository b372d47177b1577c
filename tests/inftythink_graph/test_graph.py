"""The loop: what it asks, when it ends, what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph

from inftythink_graph import (
    Candidate,
    InftyThinkContext,
    InvalidInputError,
    Protocol,
    Verdict,
    WindowTooSmallError,
    create_inftythink_graph,
)
from inftythink_graph.models import ModelCard, ModelInfo

Scripted = Callable[..., Any]
NATIVE = Protocol()


def epoch(segment: str, summary: str) -> str:
    return NATIVE.completion(segment, summary=summary)


def end(answer: str, segment: str = "done") -> str:
    return NATIVE.completion(segment, conclusion=f"It is \\boxed{{{answer}}}.")


def test_loops_until_the_model_concludes(scripted: Scripted) -> None:
    model = scripted(epoch("one", "S1"), epoch("two", "S2"), end("7"))
    result = create_inftythink_graph(model, protocol="native").invoke({"question": "What?"})
    assert (result["answer"], result["status"], result["epochs"], result["summary"]) == ("7", "answered", 3, "S2")
    assert "trace" not in result
    prompts = [messages[-1].content for messages, _ in model.calls]
    assert prompts == [NATIVE.render("What?", summary)[0]["content"] for summary in (None, "S1", "S2")]


async def test_async_gives_the_same(scripted: Scripted) -> None:
    script = (epoch("one", "S1"), ("<think>\ncut here", "length"), "S2\n</summary>", end("7"))
    sync = create_inftythink_graph(scripted(*script), protocol="native", keep_trace=True).invoke({"question": "q"})
    graph = create_inftythink_graph(scripted(*script), protocol="native", keep_trace=True)
    other = await graph.ainvoke({"question": "q"})
    for result in (sync, other):
        assert [message.text for message in result.pop("messages")] == ["q", "It is \\boxed{7}."]
        result["usage"]["seconds"] = 0.0
        for record in result["trace"]:
            record["usage"]["seconds"] = 0.0
    assert other == sync


def test_batch_and_stream(scripted: Scripted) -> None:
    graph = create_inftythink_graph(scripted(end("7")), protocol="native")
    assert [result["answer"] for result in graph.batch([{"question": "a"}, {"question": "b"}])] == ["7", "7"]
    assert [next(iter(update)) for update in graph.stream({"question": "a"})] == ["reason", "check_answer"]


def test_nodes_and_edges_are_those_of_the_design(scripted: Scripted) -> None:
    drawn = create_inftythink_graph(scripted("")).get_graph()
    assert set(drawn.nodes) == {"__start__", "reason", "check_answer", "summarize", "__end__"}
    assert {(edge.source, edge.target) for edge in drawn.edges} == {
        ("__start__", "reason"),
        ("reason", "check_answer"),
        ("check_answer", "summarize"),
        ("check_answer", "__end__"),
        ("summarize", "reason"),
    }


def test_usage_adds_up_over_epochs(scripted: Scripted) -> None:
    model = scripted(epoch("a b c", "S1"), end("7"))
    result = create_inftythink_graph(model, protocol="native", keep_trace=True).invoke({"question": "one two three"})
    contexts = [pair for record in result["trace"] for pair in record["contexts"]]
    totals = [sum(pair) for pair in contexts]
    usage = result["usage"]
    assert usage["requests"] == 2 == len(contexts)
    assert usage["prompt_tokens"] == sum(prompt for prompt, _ in contexts)
    assert usage["completion_tokens"] == sum(completion for _, completion in contexts)
    assert usage["peak_context"] == max(totals)
    assert usage["sum_tokens"] == sum(totals)
    assert usage["sum_squared_tokens"] == sum(total**2 for total in totals)


def test_a_cut_segment_is_summarized_by_prefill_and_not_sampled_again(scripted: Scripted) -> None:
    model = scripted(("<think>\nhalf a thou", "length"), "S1\n</summary>", end("7"))
    graph = create_inftythink_graph(model, protocol="native", eta=50, summary_budget=9, keep_trace=True)
    result = graph.invoke({"question": "q"})
    messages, options = model.calls[1]
    assert messages[-1].content == "<think>\nhalf a thou\n</think>\n<summary>\n"
    assert messages[-1].type == "ai"
    assert options["max_tokens"] == 9
    assert [record["segment"] for record in result["trace"]] == ["half a thou", "done"]
    assert model.calls[2][0][-1].content.endswith("<history>\nS1\n</history>")


def test_a_summary_that_was_cut_is_asked_for_again_from_its_whole_segment(scripted: Scripted) -> None:
    model = scripted(("<think>\nlong\n</think>\n<summary>\nhal", "length"), "S1\n</summary>", end("7"))
    graph = create_inftythink_graph(model, protocol="native", eta=50, summary_budget=9, keep_trace=True)
    result = graph.invoke({"question": "q"})
    assert model.calls[1][0][-1].content == "<think>\nlong\n</think>\n<summary>\n"
    first = result["trace"][0]
    assert (first["kind"], first["segment"], first["summary"]) == ("cut", "long", "S1")
    assert (result["answer"], result["usage"]["requests"]) == ("7", 3)


def test_tags_that_nobody_asked_for_lose_no_text_where_they_were_cut(scripted: Scripted) -> None:
    model = scripted(("<think>\nlong\n</think>\n<summary>\nhal", "length"), "S1", end("7"))
    result = create_inftythink_graph(model, protocol="prompted", keep_trace=True).invoke({"question": "q"})
    assert [record["segment"] for record in result["trace"]] == ["long\n\nhal", "done"]


def test_a_summary_that_was_cut_stays_where_there_is_no_segment(scripted: Scripted) -> None:
    model = scripted(("<summary>\nhal", "length"), end("7"))
    result = create_inftythink_graph(model, protocol="native", keep_trace=True).invoke({"question": "q"})
    assert [record["summary"] for record in result["trace"]] == ["hal", ""]
    assert result["answer"] == "7"


def test_without_prefill_the_summary_is_asked_for_in_a_user_turn(scripted: Scripted) -> None:
    model = scripted(("<think>\nhalf", "length"), "S1", end("7"), info=ModelInfo(prefill=False))
    create_inftythink_graph(model, protocol="native").invoke({"question": "q"})
    assert [message.type for message in model.calls[1][0]] == ["human"]
    assert "half" in model.calls[1][0][0].content


def test_prompted_protocol_asks_for_a_summary_with_the_budget(scripted: Scripted) -> None:
    model = scripted(("plain thoughts", "length"), "S1", "So it is \\boxed{7}.")
    graph = create_inftythink_graph(model, protocol="prompted", eta=40, summary_budget=33)
    result = graph.invoke({"question": "q"})
    assert result["answer"] == "7"
    assert [options["max_tokens"] for _, options in model.calls] == [40, 33, 40]
    assert "at most 33 tokens" in model.calls[1][0][0].content
    assert "S1" in model.calls[2][0][0].content


def test_any_langchain_model_works() -> None:
    replies = iter([AIMessage(epoch("one", "S1")), AIMessage(end("7"))])
    graph = create_inftythink_graph(GenericFakeChatModel(messages=replies), protocol="native")
    assert graph.invoke({"question": "q"})["answer"] == "7"


@pytest.mark.parametrize("reply", ["", "   ", "<think>", "<think>\n</think>", "</think>", "<summary></summary>"])
def test_empty_and_malformed_completions_end_by_themselves(scripted: Scripted, reply: str) -> None:
    result = create_inftythink_graph(scripted(reply), protocol="native", max_epochs=20).invoke({"question": "q"})
    assert result["status"] == "stalled"
    assert result["epochs"] < 20
    assert result["answer"] is None


def test_running_out_of_epochs_forces_an_answer(scripted: Scripted) -> None:
    model = scripted(epoch("one", "S1"), epoch("two", "S2"), "My best is \\boxed{5}.")
    result = create_inftythink_graph(model, protocol="native", max_epochs=2).invoke({"question": "q"})
    assert (result["status"], result["answer"], result["epochs"]) == ("exhausted", "5", 2)
    assert result["usage"]["requests"] == 3
    assert "S1" in model.calls[2][0][0].content


@pytest.mark.parametrize(("kind", "most"), [("native", 64), ("prompted", 40)])
def test_a_forced_answer_follows_from_the_last_segment(scripted: Scripted, kind: Any, most: int) -> None:
    model = scripted(("<think>\nsix is even, so", "length"), "My best is \\boxed{5}.")
    graph = create_inftythink_graph(model, protocol=kind, max_epochs=1, summary_budget=40)
    assert graph.invoke({"question": "q"})["answer"] == "5"
    messages, options = model.calls[1]
    assert "six is even, so" in messages[-1].content
    assert options["max_tokens"] == most


def test_running_out_of_epochs_can_return_what_there_is(scripted: Scripted) -> None:
    model = scripted(epoch("one", "S1"), epoch("two", "S2"))
    graph = create_inftythink_graph(model, protocol="native", max_epochs=2, on_exhausted="return")
    result = graph.invoke({"question": "q"})
    assert (result["status"], result["answer"], result["conclusion"]) == ("exhausted", None, "")
    assert len(model.calls) == 2


def test_a_rejected_answer_comes_back_with_the_reason(scripted: Scripted) -> None:
    model = scripted(end("6", "wrong way"), "S1\n</summary>", end("7"))
    seen: list[Candidate] = []

    def verify(candidate: Candidate) -> Verdict:
        seen.append(candidate)
        return Verdict(candidate.answer == "7", "it must be odd")

    graph = create_inftythink_graph(model, protocol="native", verifier=verify, keep_trace=True)
    result = graph.invoke({"question": "q"})
    assert (result["status"], result["answer"], result["epochs"]) == ("answered", "7", 2)
    assert [(candidate.answer, candidate.epoch) for candidate in seen] == [("6", 1), ("7", 2)]
    prompt = model.calls[2][0][0].content
    assert "S1" in prompt
    assert "The answer 6 was checked and rejected: it must be odd" in prompt
    assert result["trace"][0]["verdict"] == "it must be odd"


def test_rejected_to_the_end_says_so_and_keeps_the_answer(scripted: Scripted) -> None:
    graph = create_inftythink_graph(scripted(end("6")), protocol="native", verifier=lambda _: False, max_epochs=2)
    result = graph.invoke({"question": "q"})
    assert (result["status"], result["answer"]) == ("rejected", "6")


async def test_asynchronous_verifier(scripted: Scripted) -> None:
    async def verify(candidate: Candidate) -> bool:
        await asyncio.sleep(0)
        return candidate.answer == "7"

    graph = create_inftythink_graph(scripted(end("7")), protocol="native", verifier=verify)
    assert (await graph.ainvoke({"question": "q"}))["status"] == "answered"
    with pytest.raises(InvalidInputError, match="ainvoke"):
        graph.invoke({"question": "q"})


def test_summaries_that_stop_changing_end_the_run(scripted: Scripted) -> None:
    graph = create_inftythink_graph(scripted(epoch("same", "S")), protocol="native", stall_after=2, max_epochs=50)
    result = graph.invoke({"question": "q"})
    assert result["status"] == "stalled"
    assert result["epochs"] == 4  # S, again, again: noticed when the next epoch brings no conclusion


def test_a_summary_over_budget_is_asked_for_again_within_it(scripted: Scripted) -> None:
    model = scripted(epoch("short", "word " * 60), "brief\n</summary>", end("7"))
    graph = create_inftythink_graph(model, protocol="native", eta=50, summary_budget=10)
    assert graph.invoke({"question": "q"})["summary"] == "brief"
    assert model.calls[1][1]["max_tokens"] == 10


@pytest.mark.parametrize("epochs", [1, 9, 120])
def test_no_recursion_limit_reaches_the_user(scripted: Scripted, epochs: int) -> None:
    def build() -> Any:
        script = [epoch(f"step {i}", f"S{i}") for i in range(epochs - 1)] + [end("7")]
        return create_inftythink_graph(scripted(*script), protocol="native", max_epochs=epochs)

    @tool
    def think(question: str) -> str:
        """Think."""
        return str(build().invoke({"question": question})["epochs"])

    class Outer(TypedDict, total=False):
        question: str
        epochs: int
        status: str

    parent = StateGraph(Outer)
    parent.add_node("inner", build())
    parent.set_entry_point("inner")
    question = {"question": "q"}
    assert build().invoke(question)["epochs"] == epochs
    assert build().invoke(question, {"recursion_limit": 2})["epochs"] == epochs
    assert (RunnableLambda(lambda x: x) | build()).invoke(question)["epochs"] == epochs
    assert asyncio.run((RunnableLambda(lambda x: x) | build()).ainvoke(question))["epochs"] == epochs
    assert think.invoke(question) == str(epochs)
    assert parent.compile().invoke(question, {"recursion_limit": 25})["epochs"] == epochs


def test_context_overrides_one_call(scripted: Scripted) -> None:
    model = scripted(epoch("a", "S1"), epoch("b", "S2"), end("1"))
    graph = create_inftythink_graph(model, protocol="native", max_epochs=9)
    context = InftyThinkContext(max_epochs=1, keep_trace=True, on_exhausted="return")
    result = graph.invoke({"question": "q"}, context=context)
    assert (result["status"], result["epochs"], len(result["trace"])) == ("exhausted", 1, 1)
    with pytest.raises(InvalidInputError, match="eta must be at least 1"):
        graph.invoke({"question": "q"}, context=InftyThinkContext(eta=0))


def test_a_reused_thread_starts_a_new_question_cleanly(scripted: Scripted) -> None:
    model = scripted(epoch("a", "S1"), end("1"), epoch("b", "S2"), end("2"), end("3"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=InMemorySaver(), keep_trace=True)
    config: Any = {"configurable": {"thread_id": "t"}}
    assert graph.invoke({"question": "first"}, config)["answer"] == "1"
    second = graph.invoke({"question": "second"}, config)
    assert (second["answer"], second["epochs"], second["usage"]["requests"], len(second["trace"])) == ("2", 2, 2, 2)
    again = graph.invoke({"question": "second"}, config)
    assert (again["answer"], again["epochs"], again["summary"]) == ("3", 1, "")


def test_an_interrupted_run_goes_on_where_it_was(scripted: Scripted) -> None:
    model = scripted(epoch("a", "S1"), end("1"))
    graph = create_inftythink_graph(model, protocol="native", checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.invoke({"question": "q"}, config, interrupt_after=["summarize"])
    assert graph.get_state(config).next == ("reason",)
    assert graph.invoke(None, config)["epochs"] == 2
    assert len(model.calls) == 2


def test_seed_moves_with_the_epoch_and_sampling_is_passed_on(scripted: Scripted) -> None:
    model = scripted(epoch("a", "S1"), end("1"))
    create_inftythink_graph(model, protocol="native", seed=10, temperature=0.3, top_p=0.8).invoke({"question": "q"})
    options = [options for _, options in model.calls]
    assert [entry["seed"] for entry in options] == [11, 12]
    assert all(entry["temperature"] == 0.3 and entry["top_p"] == 0.8 for entry in options)


def test_defaults_are_the_papers_and_a_card_goes_before_them(scripted: Scripted) -> None:
    plain = scripted(end("1"))
    create_inftythink_graph(plain).invoke({"question": "q"})
    assert plain.calls[0][1]["max_tokens"] == 4096
    assert plain.calls[0][1]["temperature"] == 0.7
    assert "summarize what you have" in plain.calls[0][0][0].content  # without a card: prompted

    card = ModelCard(method="inftythink", context=900, eta=100, summary_budget=20, temperature=0.0)
    trained = scripted(end("1"), info=ModelInfo(window=900, prefill=True, card=card))
    create_inftythink_graph(trained).invoke({"question": "q"})
    assert trained.calls[0][0][0].content == "q"
    assert trained.calls[0][1]["temperature"] == 0.0
    assert 100 + 20 <= trained.calls[0][1]["max_tokens"] <= 100 + 20 + 16


def test_history_in_the_assistant_turn_is_a_prefill(scripted: Scripted) -> None:
    protocol = Protocol(history="assistant")
    model = scripted(epoch("a", "S1"), end("1"))
    create_inftythink_graph(model, protocol=protocol).invoke({"question": "q"})
    assert [message.type for message in model.calls[1][0]] == ["human", "ai"]
    no_prefill = scripted(end("1"), info=ModelInfo(prefill=False))
    with pytest.raises(InvalidInputError, match="history='assistant' needs a model that can continue"):
        create_inftythink_graph(no_prefill, protocol=protocol).invoke({"question": "q"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 0}, "eta must be at least 1, got 0"),
        ({"max_epochs": 0}, "max_epochs must be at least 1, got 0"),
        ({"summary_budget": 0}, "summary_budget must be at least 1"),
        ({"temperature": -1}, "temperature must be at least 0"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"protocol": "other"}, "allowed: 'native', 'prompted'"),
        ({"on_exhausted": "explode"}, "on_exhausted must be one of"),
        ({"stall_after": 1}, "stall_after must be at least 2"),
    ],
)
def test_bad_options_name_what_is_allowed(scripted: Scripted, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        create_inftythink_graph(scripted(""), **options)


@pytest.mark.parametrize("question", ["", "  \n", [], [{"type": "text", "text": " "}]])
def test_an_empty_question_costs_no_token(scripted: Scripted, question: Any) -> None:
    model = scripted(end("1"))
    with pytest.raises(InvalidInputError, match="question is empty"):
        create_inftythink_graph(model).invoke({"question": question})
    assert not model.calls


def test_content_blocks_reach_the_model(scripted: Scripted) -> None:
    model = scripted(epoch("a", "S1"), end("1"))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    create_inftythink_graph(model, protocol="native").invoke({"question": [{"type": "text", "text": "see"}, image]})
    blocks = model.calls[1][0][0].content
    assert blocks[:2] == [{"type": "text", "text": "see"}, image]
    assert "<history>\nS1\n</history>" in blocks[2]["text"]


def test_a_window_too_small_is_reported_with_the_numbers(scripted: Scripted) -> None:
    model = scripted(end("1"), info=ModelInfo(window=200, prefill=True))
    with pytest.raises(WindowTooSmallError, match=r"window of 200 tokens.*eta 150, summary budget 20") as caught:
        create_inftythink_graph(model, protocol="native", eta=150, summary_budget=20).invoke({"question": "one two"})
    assert not model.calls
    assert caught.value.window == 200
    room = int(str(caught.value).rpartition(" ")[2])  # the advice holds: one more would be too much
    fits = create_inftythink_graph(model, protocol="native", eta=room, summary_budget=20)
    assert fits.invoke({"question": "one two"})["answer"] == "1"
    too_much = create_inftythink_graph(model, protocol="native", eta=room + 1, summary_budget=20)
    with pytest.raises(WindowTooSmallError):
        too_much.invoke({"question": "one two"})


def test_traces_see_which_epoch_and_part_a_model_call_is_for(scripted: Scripted) -> None:
    class Tracer(BaseCallbackHandler):
        seen: list[tuple[int, str]] = []  # noqa: RUF012  # of this one instance

        def on_chat_model_start(self, *_: Any, metadata: dict[str, Any] | None = None, **__: Any) -> None:
            self.seen.append(((metadata or {})["inftythink_epoch"], (metadata or {})["inftythink_part"]))

    script = (epoch("one", "S1"), ("<think>\ncut here", "length"), "S2", end("7"))
    tracer = Tracer()
    create_inftythink_graph(scripted(*script), protocol="native").invoke({"question": "q"}, {"callbacks": [tracer]})
    assert tracer.seen == [(1, "segment"), (2, "segment"), (2, "summary"), (3, "segment")]


def test_what_a_template_takes_by_itself_is_counted_once(scripted: Scripted) -> None:
    """Measuring summaries near the budget costs one count each, not two."""
    model = scripted(
        "<think>\na b\n</think>\n<summary>\nc d e f g h i j k\n</summary>", "<think>\nx\n</think>\n\\boxed{1}"
    )
    graph = create_inftythink_graph(model, protocol="native", eta=50, summary_budget=10)
    for _ in range(3):
        model.calls.clear()
        assert graph.invoke({"question": "one two"})["answer"] == "1"
    assert model.counted.count(".") == 1
    assert model.counted.count("c d e f g h i j k") == 3
