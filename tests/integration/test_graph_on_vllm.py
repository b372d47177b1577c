"""The graph against a real vLLM server on the CPU that serves the bundled model."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request

import pytest

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph import ChatVLLM, EmbeddedChatModel, Protocol, create_inftythink_graph
from inftythink_graph.answers import gold_verifier
from inftythink_graph.cli import main
from inftythink_graph.serve import RunningServer


def problems(family: str, count: int, *, min_steps: int, max_steps: int) -> list[Problem]:
    return list(generate(family, count, seed=11, split="test", min_steps=min_steps, max_steps=max_steps))


def metric(server: RunningServer, name: str) -> float:
    with urllib.request.urlopen(f"{server.base_url.removesuffix('/v1')}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    return sum(float(value) for value in re.findall(rf"^vllm:{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


@pytest.fixture
def chat(vllm_server: RunningServer) -> ChatVLLM:
    return ChatVLLM(model=vllm_server.model, base_url=vllm_server.base_url)


@pytest.fixture(scope="module")
def solved() -> dict[str, list[Problem]]:
    """Held-out problems that the same weights solve in this process: what a server must do as well."""
    drawn = {family: problems(family, 16, min_steps=10, max_steps=30) for family in FAMILIES}
    flat = [item for items in drawn.values() for item in items]
    graph = create_inftythink_graph(EmbeddedChatModel(), max_epochs=40)
    results = asyncio.run(graph.abatch([{"question": item.question} for item in flat]))
    right = {item.question for item, result in zip(flat, results, strict=True) if result["answer"] == item.answer}
    assert len(right) >= 0.9 * len(flat)
    return {family: [item for item in items if item.question in right] for family, items in drawn.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_chain_longer_than_the_window_is_thought_through(
    chat: ChatVLLM, solved: dict[str, list[Problem]], family: str
) -> None:
    problem = solved[family][0]
    result = create_inftythink_graph(chat, keep_trace=True).invoke({"question": problem.question})
    assert (result["answer"], result["status"]) == (problem.answer, "answered")
    assert result["epochs"] > 2
    assert result["usage"]["peak_context"] <= 256
    # The trace is the whole chain, step by step, with nothing lost between two epochs.
    assert "\n".join(record["segment"] for record in result["trace"]) == problem.chain


def test_the_context_stays_bounded_whatever_the_depth(chat: ChatVLLM) -> None:
    deep = [item for family in FAMILIES for item in problems(family, 2, min_steps=150, max_steps=300)]
    graph = create_inftythink_graph(chat, max_epochs=60)
    results = asyncio.run(graph.abatch([{"question": item.question} for item in deep]))
    assert max(result["epochs"] for result in results) > 20
    assert max(result["usage"]["peak_context"] for result in results) <= 256


def test_a_cut_segment_is_rescued_by_a_prefill(vllm_server: RunningServer) -> None:
    (problem,) = problems("gcd", 1, min_steps=8, max_steps=12)
    chat = ChatVLLM(model=vllm_server.model, base_url=vllm_server.base_url, thinking_budget="off")
    graph = create_inftythink_graph(chat, eta=45, summary_budget=20, keep_trace=True, max_epochs=60)
    result = graph.invoke({"question": problem.question})
    kinds = [record["kind"] for record in result["trace"]]
    assert "cut" in kinds
    rescued = next(record for record in result["trace"] if record["kind"] == "cut")
    assert len(rescued["contexts"]) == 2  # the segment was kept, and one more request summarized it
    assert rescued["summary"].startswith("The pair is now (")


def test_a_model_that_goes_in_circles_is_ended_by_the_server_and_the_run_goes_on(vllm_server: RunningServer) -> None:
    chat = ChatVLLM(model=vllm_server.model, base_url=vllm_server.base_url, thinking_budget="off")
    (seven,) = chat.get_token_ids("7")
    detection = {"min_pattern_size": 4, "max_pattern_size": 16, "min_count": 8}
    body = {"logit_bias": {str(seven): 100.0}, "repetition_detection": detection}
    chat = chat.model_copy(update={"extra_body": body})
    graph = create_inftythink_graph(chat, eta=100, max_epochs=3, stall_after=9, keep_trace=True)
    result = graph.invoke({"question": "What is 6 times 4?"})
    assert [record["kind"] for record in result["trace"]] == ["cut"] * 3
    # Four tokens, eight times: the limit that the server was given.
    assert {record["segment"] for record in result["trace"]} == {"7" * 32}
    assert (result["status"], result["epochs"]) == ("exhausted", 3)


def test_the_server_holds_thinking_to_eta(chat: ChatVLLM) -> None:
    (problem,) = problems("product", 1, min_steps=12, max_steps=16)
    graph = create_inftythink_graph(chat, eta=50, keep_trace=True, max_epochs=40)
    trace = graph.invoke({"question": problem.question})["trace"]
    assert {record["kind"] for record in trace} <= {"summary", "conclusion"}  # closed in time, never cut
    empty = chat.count_prompt_tokens([{"role": "user", "content": ""}])
    assert max(chat.count_prompt_tokens([{"role": "user", "content": r["segment"]}]) for r in trace) <= empty + 54


def test_the_servers_prefix_cache_is_used(vllm_server: RunningServer, chat: ChatVLLM) -> None:
    question = "Add 57 to itself until you have added it 40 times, starting from 0. What is the sum?"
    names = ("prefix_cache_hits_total", "prefix_cache_queries_total")
    before = [metric(vllm_server, name) for name in names]
    graph = create_inftythink_graph(chat, max_epochs=12, on_exhausted="return")
    result = graph.invoke({"question": question})
    hits, queries = (metric(vllm_server, name) - value for name, value in zip(names, before, strict=True))
    assert result["epochs"] > 2
    assert queries == result["usage"]["prompt_tokens"]
    # The question's tokens stand in front of every epoch's prompt: from the third epoch on, they are in the cache.
    assert hits == result["usage"]["cached_tokens"] >= 32 * (result["epochs"] - 2)


async def test_trajectories_run_side_by_side(chat: ChatVLLM, solved: dict[str, list[Problem]]) -> None:
    batch = [item for items in solved.values() for item in items[:8]]
    results = await create_inftythink_graph(chat, max_epochs=40).abatch([{"question": item.question} for item in batch])
    right = [result["answer"] == item.answer for result, item in zip(results, batch, strict=True)]
    assert sum(right) >= len(batch) - 1  # sums in another order: a close call may fall the other way
    assert len({result["epochs"] for result in results}) > 1


def test_the_embedded_model_thinks_the_same(chat: ChatVLLM, solved: dict[str, list[Problem]]) -> None:
    problem = solved["product"][0]
    results = [
        create_inftythink_graph(model, keep_trace=True).invoke({"question": problem.question})
        for model in (chat, EmbeddedChatModel())
    ]
    traces = [[(record["segment"], record["summary"], record["contexts"]) for record in r["trace"]] for r in results]
    assert traces[0] == traces[1]


def test_the_prompted_protocol_ends_with_a_status(chat: ChatVLLM) -> None:
    graph = create_inftythink_graph(chat, protocol="prompted", eta=20, summary_budget=12, max_epochs=3)
    with pytest.raises(ValueError, match="window of 256"):  # instructions in words need more than this model has
        graph.invoke({"question": "What is 3 times 4? Add 4 again and again."})


def test_a_verifier_sends_a_wrong_answer_back(chat: ChatVLLM, solved: dict[str, list[Problem]]) -> None:
    problem = min(solved["gcd"], key=lambda item: len(item.steps))
    graph = create_inftythink_graph(chat, verifier=gold_verifier("-1"), max_epochs=24, keep_trace=True)
    result = graph.invoke({"question": problem.question})
    first = next(record for record in result["trace"] if record["conclusion"])
    assert first["answer"] == problem.answer
    assert problem.answer in first["verdict"]
    assert result["epochs"] > first["epoch"]
    assert result["status"] in ("rejected", "stalled", "exhausted")


def test_solve_against_serve_needs_no_flags(
    vllm_server: RunningServer, solved: dict[str, list[Problem]], capsys: pytest.CaptureFixture[str]
) -> None:
    problem = solved["product"][0]
    assert main(["solve", problem.question, "--base-url", vllm_server.base_url, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["answer"], result["status"]) == (problem.answer, "answered")
    setup, first, *_ = result["trace"][0]["segment"].split("\n")
    assert setup == problem.setup
    assert first.startswith(f"{problem.params[1]:03} - 1 ")


def test_a_name_that_is_not_served(vllm_server: RunningServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "q", "--base-url", vllm_server.base_url, "--model", "gpt-none"]) == 2
    error = capsys.readouterr().err
    assert "gpt-none" in error
    assert vllm_server.model in error


async def test_with_a_reasoning_parser_nothing_is_lost(
    vllm_reasoning_server: RunningServer, solved: dict[str, list[Problem]]
) -> None:
    chat = ChatVLLM(model=vllm_reasoning_server.model, base_url=vllm_reasoning_server.base_url)
    batch = [items[0] for items in solved.values()]
    graph = create_inftythink_graph(chat, keep_trace=True)
    results = await graph.abatch([{"question": item.question} for item in batch])
    assert [result["answer"] for result in results] == [item.answer for item in batch]
    for result, item in zip(results, batch, strict=True):
        assert "\n".join(record["segment"] for record in result["trace"]) == item.chain


def test_with_a_reasoning_parser_a_cut_segment_is_rescued(vllm_reasoning_server: RunningServer) -> None:
    server = vllm_reasoning_server
    chat = ChatVLLM(model=server.model, base_url=server.base_url, thinking_budget="off")
    (problem,) = problems("gcd", 1, min_steps=8, max_steps=12)
    graph = create_inftythink_graph(chat, eta=45, summary_budget=20, keep_trace=True, max_epochs=60)
    result = graph.invoke({"question": problem.question})
    rescued = next(record for record in result["trace"] if record["kind"] == "cut")
    assert rescued["segment"]
    assert rescued["summary"].startswith("The pair is now (")
    assert len(rescued["contexts"]) == 2


def test_history_in_the_assistant_turn_works_on_the_server(chat: ChatVLLM) -> None:
    # Not what this model was trained on: the format must hold, the answer need not.
    graph = create_inftythink_graph(chat, protocol=Protocol(history="assistant"), max_epochs=3, keep_trace=True)
    result = graph.invoke({"question": "Multiply 25 by 40 by repeated addition."})
    assert result["epochs"] >= 1
    assert result["status"] in ("answered", "exhausted", "stalled")
