"""The summarizer: what it asks, what it accepts, when it gives up, and that nothing paid for is asked for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from pydantic import PrivateAttr

from datasets_build.summaries.journal import Journal
from datasets_build.summaries.request_cache import RequestCache
from datasets_build.summaries.requests import is_transport_error, varied_temperature
from datasets_build.summaries.rules import judge_reply, summary_text
from datasets_build.summaries.summarize import create_summarizer_graph
from inftythink_graph import InvalidInputError
from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.models import ModelInfo
from inftythink_graph.nodes.flow import Reply
from inftythink_graph.state import no_usage

SEGMENT = "one two three four five six seven eight nine ten " * 3
SEGMENTS = [f"part-{number} {SEGMENT}" for number in range(4)]
EXAMPLE: dict[str, Any] = {"question": "What?", "segments": SEGMENTS}


def words(texts: Sequence[str]) -> list[int]:
    """A tokenizer whose tokens are words."""
    return [len(text.split()) for text in texts]


class Summarizer(BaseChatModel):
    """Answers from a script: texts, (text, finish reason), (text, finish reason, reasoning), or errors to raise.

    The last entry repeats. A token is a word. ``delay`` lets other tasks run before a reply.
    """

    script: list[Any]
    window: int | None = None
    counts: bool = True
    delay: float = 0.0
    model_name: str = "fake"
    _calls: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)
    _third: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def calls(self) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
        return self._calls

    @property
    def third(self) -> asyncio.Event:
        """Set when the third request is under way."""
        return self._third

    def describe(self) -> ModelInfo:
        return ModelInfo(window=self.window)

    async def adescribe(self) -> ModelInfo:
        return self.describe()

    def count_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        if not self.counts:
            raise ServerUnavailableError("the server has no /tokenize")
        return sum(words([str(message["content"]) for message in messages]))

    async def acount_prompt_tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        return self.count_prompt_tokens(messages)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        entry = self.script[min(len(self._calls), len(self.script) - 1)]
        self._calls.append((messages, kwargs))
        if isinstance(entry, Exception):
            raise entry
        text, finish, reasoning = (*entry, "")[:3] if isinstance(entry, tuple) else (entry, "stop", "")
        prompt, size = sum(words([str(message.content) for message in messages])), sum(words([text, reasoning]))
        message = AIMessage(
            text,
            additional_kwargs={"reasoning_content": reasoning} if reasoning else {},
            response_metadata={"finish_reason": finish},
            usage_metadata={"input_tokens": prompt, "output_tokens": size, "total_tokens": prompt + size},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        if len(self._calls) == 2:
            self._third.set()
        await asyncio.sleep(self.delay)
        return self._generate(*args, **kwargs)


def graph_of(model: BaseChatModel, **options: Any) -> Any:
    return create_summarizer_graph(model, **{"summary_budget": 8, "backoff": 0.0, **options})


Ran = Callable[..., dict[str, Any]]


@pytest.fixture(params=["sync", "async"])
def ran(request: pytest.FixtureRequest) -> Ran:
    """Runs the graph blocking or not: everything below holds for both."""

    def run(model: BaseChatModel, example: dict[str, Any] = EXAMPLE, **options: Any) -> dict[str, Any]:
        graph = graph_of(model, **options)
        if request.param == "sync":
            return graph.invoke(example)  # type: ignore[no-any-return]
        return asyncio.run(graph.ainvoke(example))  # type: ignore[no-any-return]

    return run


def test_every_segment_but_the_last_gets_a_summary(ran: Ran) -> None:
    model = Summarizer(script=["S1", "S2", "S3"])
    result = ran(model)
    assert result["summaries"] == ["S1", "S2", "S3"]
    assert (result["status"], result["reason"], result["defect"], result["attempts"]) == ("done", "", None, [1, 1, 1])
    assert result["usage"]["paid"]["requests"] == 3
    assert result["usage"]["reused"]["requests"] == 0
    assert set(result) == {"summaries", "status", "reason", "defect", "usage", "attempts"}


def test_requests_are_append_only_and_see_all_before(ran: Ran) -> None:
    model = Summarizer(script=["S1", "S2", "S3"])
    ran(model, EXAMPLE | {"system": "Be brief."})
    prompts = [[(message.type, message.content) for message in messages] for messages, _ in model.calls]
    for number, (before, after) in enumerate(pairwise(prompts), 1):
        assert after[: len(before) + 1] == [*before, ("ai", f"S{number}")]
        assert len(after) == len(before) + 2
    last = "".join(content for _, content in prompts[-1])
    assert all(text.strip() in last for text in ["What?", "Be brief.", *SEGMENTS[:3], "S1", "S2"])
    assert SEGMENTS[3] not in last


def test_one_segment_needs_no_request(ran: Ran) -> None:
    model = Summarizer(script=[RuntimeError("never asked")])
    result = ran(model, {"question": "q", "segments": ["all of it"]})
    assert (result["summaries"], result["status"], result["attempts"], model.calls) == ([], "done", [], [])


@pytest.mark.parametrize(
    ("bad", "defect", "words_in_reason"),
    [
        (("cut her", "length"), "truncated", "did not end by itself (length)"),
        (("again again", "repetition"), "truncated", "(repetition)"),
        (("", "stop"), "empty", "empty"),
        (("  \n", "stop"), "empty", "empty"),
        (("<think>only thoughts</think>", "stop"), "empty", "nothing but reasoning"),
        (("", "stop", "only thoughts"), "empty", "nothing but reasoning"),
        (("x " * 9, "stop"), "over-budget", "9 tokens, at most 8"),
        (("see <history>", "stop"), "tags", "has tags: <history>"),
        (("a <summary>b</summary>", "stop"), "tags", "<summary>"),
        (("a <think>b</think> c", "stop"), "tags", "<think>"),
        (("<think>never closed", "stop"), "tags", "<think>"),
        (("<thinking>b</thinking> c", "stop"), "tags", "<thinking>"),
    ],
)
def test_a_defect_is_asked_for_again_and_in_the_end_fails_the_example(
    ran: Ran, bad: tuple[str, ...], defect: str, words_in_reason: str
) -> None:
    healed = Summarizer(script=["S1", bad, "S2", "S3"])
    result = ran(healed, count=words)
    assert (result["summaries"], result["attempts"]) == (["S1", "S2", "S3"], [1, 2, 1])
    assert healed.calls[1][0] == healed.calls[2][0]

    model = Summarizer(script=["S1", bad])
    result = ran(model, count=words, max_attempts=3)
    assert (result["status"], result["summaries"], result["defect"]) == ("failed", [], defect)
    assert result["reason"].startswith("segment 2 of 4: no acceptable summary in 3 attempts")
    assert words_in_reason in result["reason"]
    assert (result["attempts"], len(model.calls)) == ([1, 3], 4)
    assert result["usage"]["paid"]["requests"] == 4


def test_a_summary_must_be_shorter_than_its_segment(ran: Ran) -> None:
    example = {"question": "q", "segments": ["just three words", "end"]}
    result = ran(Summarizer(script=["as long here"]), example, count=words)
    assert (result["status"], result["defect"]) == ("failed", "not-shorter")
    assert "3 tokens, its segment has 3" in result["reason"]
    assert ran(Summarizer(script=["shorter now"]), example, count=words)["summaries"] == ["shorter now"]
    result = ran(Summarizer(script=["many characters in few"]), example)  # without a tokenizer
    assert "22 characters, its segment has 16" in result["reason"]


def test_each_attempt_has_a_seed_and_a_temperature_of_its_own(ran: Ran) -> None:
    model = Summarizer(script=[("", "stop")])
    ran(model, max_attempts=4, seed=7, temperature=0.5, top_p=0.9)
    options = [options for _, options in model.calls]
    assert [each["seed"] for each in options] == [7, 8, 9, 10]
    temperatures = [each["temperature"] for each in options]
    assert temperatures[0] == 0.5
    assert temperatures == sorted(set(temperatures))
    assert all(after - before < 0.4 for before, after in pairwise(temperatures))
    assert all(each["top_p"] == 0.9 and each["max_tokens"] == 8 for each in options)
    other = Summarizer(script=[("", "stop")])
    ran(other, seed=None)
    assert all("seed" not in each for _, each in other.calls)


def test_the_variation_of_the_temperature_is_the_same_in_every_run() -> None:
    assert varied_temperature(0.0, 1, "a") == 0.0
    assert varied_temperature(0.3, 3, "a") == varied_temperature(0.3, 3, "a") != varied_temperature(0.3, 3, "b")
    assert varied_temperature(0.3, 100, "a") == 1.2
    assert varied_temperature(0.3, 2, "\ud800") > 0.3
    assert varied_temperature(1.5, 100, "a") == 1.5


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<think>\nlong thoughts about it\n</think>\n\nS", ""),
        ("long thoughts about it\n</think>\nS", ""),
        ("S", "long thoughts about it all"),
        ("<think>\nthoughts\n</think>\n<summary>\nS\n</summary>", ""),
        ("<summary>S</summary>", ""),
        ("<summary>\nS", ""),
    ],
)
def test_the_reasoning_of_a_reasoning_summarizer_is_stripped(ran: Ran, text: str, reasoning: str) -> None:
    model = Summarizer(script=[(text, "stop", reasoning)])
    assert ran(model, reasoning_budget=20)["summaries"] == ["S", "S", "S"]
    assert model.calls[0][1]["max_tokens"] == 28


def test_reasoning_does_not_count_against_the_budget_where_the_server_counts_both() -> None:
    usage = no_usage() | {"completion_tokens": 300}
    reply = Reply("x" * 100, "y" * 900, "stop", usage)
    assert judge_reply(reply, "z" * 500, budget=40, max_tokens=500).summary == "x" * 100
    assert judge_reply(reply, "z" * 500, budget=20, max_tokens=500).defect == "over-budget"


def test_providers_that_give_no_reason_must_have_stayed_below_the_limit() -> None:
    def judged(tokens: int) -> str | None:
        usage = no_usage() | {"completion_tokens": tokens}
        return judge_reply(Reply("fine", "", "", usage), SEGMENT, budget=50, max_tokens=50).defect

    assert [judged(tokens) for tokens in (0, 5, 50)] == ["truncated", None, "truncated"]


def test_text_before_a_think_block_is_not_thrown_away_in_silence() -> None:
    assert summary_text("The sum is 7. <think>hm</think> And") == "The sum is 7. <think>hm</think> And"


# Transport


def test_transport_errors_are_waited_out_and_are_no_attempts(ran: Ran) -> None:
    model = Summarizer(script=[ConnectionError("reset"), TimeoutError("slow"), "S1", "S2", "S3"])
    result = ran(model)
    assert (result["summaries"], result["attempts"]) == (["S1", "S2", "S3"], [1, 1, 1])
    assert [options["seed"] for _, options in model.calls] == [0] * 5


def test_a_server_that_never_answers_fails_the_example_with_its_words(ran: Ran) -> None:
    model = Summarizer(script=["S1", ConnectionError("connection\nrefused")])
    result = ran(model, transport_tries=3)
    assert (result["status"], result["defect"], len(model.calls)) == ("failed", "transport", 4)
    assert result["reason"] == "segment 2 of 4: no reply in 3 tries: connection refused"


def test_errors_that_would_hit_every_example_are_raised(ran: Ran) -> None:
    for error in (PermissionError("bad key"), ServerUnavailableError("the server refuses the API key")):
        model = Summarizer(script=[error])
        with pytest.raises(type(error)):
            ran(model)
        assert len(model.calls) == 1
    assert not is_transport_error(ValueError("x"))


def test_a_request_that_the_server_finds_too_long_fails_the_example(ran: Ran) -> None:
    result = ran(Summarizer(script=[ContextOverflowError("at most 10 tokens")]))
    assert (result["status"], result["defect"]) == ("failed", "window")
    assert "at most 10 tokens" in result["reason"]


# The window


@pytest.mark.parametrize("counts", [True, False])
def test_what_does_not_fit_is_left_out_and_every_request_stays_inside(ran: Ran, counts: bool) -> None:
    segments = [f"part-{number} {SEGMENT * 2}" for number in range(30)]
    window = 700 if counts else 2400
    model = Summarizer(script=["S"], window=window, counts=counts)
    result = ran(model, {"question": "q", "segments": segments})
    assert len(result["summaries"]) == 29
    sizes = [sum(words([str(message.content) for message in messages])) for messages, _ in model.calls]
    assert max(sizes) + 8 <= window
    assert "part-0 " not in str(model.calls[-1][0])
    assert "part-28 " in str(model.calls[-1][0])
    prompts = [[message.content for message in messages] for messages, _ in model.calls]
    extended = sum(after[: len(before)] == before for before, after in pairwise(prompts))
    assert 29 - extended - 1 < 15  # cuts are the exception


def test_the_smaller_of_the_two_windows_counts(ran: Ran) -> None:
    example = {"question": "q", "segments": [f"part-{number}- {SEGMENT}" for number in range(12)]}
    for options, own in (({"window": 500}, 100_000), ({"window": 100_000}, 500), ({}, 500)):
        model = Summarizer(script=["S"], window=own)
        assert ran(model, example, **options)["status"] == "done"
        assert "part-0-" not in str(model.calls[-1][0])
    unbounded = Summarizer(script=["S"])
    ran(unbounded, example)
    assert "part-0-" in str(unbounded.calls[-1][0])


def test_a_window_that_holds_not_even_one_segment_fails_before_a_request(ran: Ran) -> None:
    model = Summarizer(script=["S"], window=100)
    result = ran(model)
    assert (result["status"], result["defect"], model.calls) == ("failed", "window", [])
    assert "segment 1 of 4" in result["reason"]
    assert "window of 100" in result["reason"]


# The cache


def test_a_finished_request_is_never_repeated_and_usage_says_so(ran: Ran, tmp_path: Path) -> None:
    first = Summarizer(script=["S1", ("", "stop"), "S2", ConnectionError("gone")])
    with Journal(tmp_path / "j.jsonl") as journal:
        result = ran(first, cache=RequestCache(journal), transport_tries=1)
        assert (result["status"], result["defect"]) == ("failed", "transport")
    second = Summarizer(script=["S3"])
    with Journal(tmp_path / "j.jsonl") as journal:
        result = ran(second, cache=RequestCache(journal), transport_tries=1)
    assert (result["summaries"], result["attempts"]) == (["S1", "S2", "S3"], [1, 2, 1])
    assert (result["usage"]["paid"]["requests"], result["usage"]["reused"]["requests"]) == (1, 3)
    assert len(second.calls) == 1
    third = Summarizer(script=[RuntimeError("never asked")])
    with Journal(tmp_path / "j.jsonl") as journal:
        again = ran(third, cache=RequestCache(journal))
    assert (again["summaries"], again["usage"]["paid"]) == (["S1", "S2", "S3"], no_usage())


def test_another_model_prompt_or_sampling_asks_anew(ran: Ran, tmp_path: Path) -> None:
    from dataclasses import replace

    from datasets_build.summaries.prompt import default_prompt

    example = {"question": "q", "segments": SEGMENTS[:2]}
    worded = replace(default_prompt(), version="2")
    variants: list[dict[str, Any]] = [{}, {"seed": 1}, {"temperature": 0.1}, {"prompt": worded}, {"model_name": "b"}]
    with Journal(tmp_path / "j.jsonl") as journal:
        for options in variants:
            result = ran(Summarizer(script=["S"]), example, cache=RequestCache(journal), **options)
            assert result["usage"]["paid"]["requests"] == 1
        assert len(journal) == len(variants)


def test_without_a_seed_each_attempt_is_a_request_of_its_own(ran: Ran, tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        model = Summarizer(script=[("", "stop"), "S1"])
        result = ran(
            model, {"question": "q", "segments": SEGMENTS[:2]}, cache=RequestCache(journal), seed=None, temperature=1.2
        )
    assert (result["summaries"], len(model.calls)) == (["S1"], 2)


async def test_a_cancelled_run_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        cache = RequestCache(journal)
        model = Summarizer(script=["S1", "S2", "S3"], delay=0.05)
        task = asyncio.create_task(graph_of(model, cache=cache).ainvoke(EXAMPLE))
        await asyncio.wait_for(model.third.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (len(model.calls), len(journal)) == (2, 2)
        rest = Summarizer(script=["S3"])
        result = await graph_of(rest, cache=cache).ainvoke(EXAMPLE)
        assert result["summaries"] == ["S1", "S2", "S3"]
        assert result["usage"]["reused"]["requests"] == 2
        assert len(rest.calls) == 1


async def test_the_same_example_twice_at_once_is_paid_for_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        model = Summarizer(script=["S1"], delay=0.02)
        results = await graph_of(model, cache=RequestCache(journal)).abatch([EXAMPLE] * 4)
    assert len(model.calls) == 3
    assert sum(result["usage"]["paid"]["requests"] for result in results) == 3
    assert all(result["summaries"] == ["S1"] * 3 for result in results)


def test_a_cache_needs_the_models_name(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal, pytest.raises(InvalidInputError, match="model_name="):
        graph_of(Summarizer(script=["S"], model_name=""), cache=RequestCache(journal))


# A LangGraph component like any other


def test_nodes_and_edges_are_those_of_the_docstring() -> None:
    drawn = graph_of(Summarizer(script=["S"])).get_graph()
    assert set(drawn.nodes) == {"__start__", "prepare", "request", "judge", "__end__"}
    assert {(edge.source, edge.target) for edge in drawn.edges} == {
        ("__start__", "prepare"),
        ("prepare", "request"),
        ("prepare", "__end__"),
        ("request", "judge"),
        ("request", "__end__"),
        ("judge", "request"),
        ("judge", "__end__"),
    }


def test_no_recursion_limit_cuts_a_long_chain_short() -> None:
    class Parent(TypedDict):
        question: str
        segments: list[str]
        summaries: list[str]

    example = {"question": "q", "segments": [f"{number} {SEGMENT}" for number in range(40)]}
    graph = graph_of(Summarizer(script=["S"]))
    builder = StateGraph(Parent)
    builder.add_node("summarizer", graph)
    builder.set_entry_point("summarizer")
    results = [
        graph.invoke(example, {"recursion_limit": 3}),
        (RunnableLambda(lambda given: given) | graph).invoke(example),
        builder.compile().invoke(example, {"recursion_limit": 5}),
    ]
    assert all(len(result["summaries"]) == 39 for result in results)


def test_a_reused_thread_starts_anew() -> None:
    graph = graph_of(Summarizer(script=["S1", "S2", "S3", "T1"]), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    assert graph.invoke(EXAMPLE, config)["summaries"] == ["S1", "S2", "S3"]
    second = graph.invoke({"question": "q", "segments": SEGMENTS[:2]}, config)
    assert (second["summaries"], second["usage"]["paid"]["requests"]) == (["T1"], 1)


@pytest.mark.parametrize(
    "example",
    [
        {"question": " ", "segments": ["a"]},
        {"question": None, "segments": ["a"]},
        {"question": "q", "segments": []},
        {"question": "q", "segments": "abc"},
        {"question": "q", "segments": ["a", " "]},
        {"question": "q", "segments": ["a", None]},
    ],
)
def test_an_example_that_cant_be_summarized_is_named(ran: Ran, example: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="must be a"):
        ran(Summarizer(script=["S"]), example)


@pytest.mark.parametrize(
    "options",
    [
        {"summary_budget": 0},
        {"window": 0},
        {"temperature": -1},
        {"top_p": 0},
        {"max_attempts": 0},
        {"reasoning_budget": -1},
        {"transport_tries": 0},
        {"backoff": -1},
    ],
)
def test_options_outside_what_is_allowed_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        graph_of(Summarizer(script=["S"]), **options)
