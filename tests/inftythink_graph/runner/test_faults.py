"""Whatever befalls a server, every question is answered, and nothing that was answered is asked again."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from counting_server import CountingServer, Trouble, counting

from inftythink_graph import Protocol
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.runner import NoServerLeftError, Tally, arun_many, endpoints, pauses

QUESTIONS = [counting(2 + number % 5) for number in range(24)]
EPOCHS = sum(2 + number % 5 for number in range(24))


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pauses, "_LONGEST", 0.05)
    monkeypatch.setattr(endpoints, "_SHORTEST", 0.05)
    monkeypatch.setattr(endpoints, "_LONGEST", 0.2)
    return iter(())


async def run(servers: Sequence[CountingServer], output: Path, questions: Any = QUESTIONS, **options: Any) -> Tally:
    timeout = options.pop("timeout", 30.0)
    models = [ChatVLLM(base_url=server.url, api_key="none", timeout=timeout) for server in servers]
    options = {"concurrency": 8, "eta": 100, "summary_budget": 50, **options}
    async with asyncio.timeout(60):
        return await arun_many(questions, output, models, protocol=Protocol(), **options)


def check(output: Path, questions: Sequence[str] = QUESTIONS) -> list[dict[str, Any]]:
    """All questions are answered rightly, each once."""
    found = sorted((json.loads(line) for line in output.read_text().splitlines()), key=lambda each: each["index"])
    assert [each["index"] for each in found] == list(range(len(questions)))
    assert [f"Count to {each['answer']}." for each in found] == list(questions)
    return found


def every(step: int, trouble: Trouble) -> Any:
    return lambda number, body: trouble if number % step == 0 else None


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (Trouble("reset"), "away"),
        (Trouble("cut"), "away"),
        (Trouble("status", 429), "overload"),
        (Trouble("status", 429, "0.05"), "overload"),
        (Trouble("status", 503, "0.05"), "overload"),
        (Trouble("status", 500), "broken"),
        (Trouble("status", 502), "broken"),
    ],
    ids=["reset", "cut in the middle", "429", "429 with Retry-After", "503 with Retry-After", "500", "502"],
)
async def test_a_fault_now_and_then(tmp_path: Path, trouble: Trouble, fault: str) -> None:
    async with CountingServer(every(3, trouble)) as server:
        tally = await run([server], tmp_path / "out.jsonl")
    check(tmp_path / "out.jsonl")
    assert tally.faults[fault] >= EPOCHS // 3
    assert len(server.asked) == EPOCHS  # what was answered wasn't asked again
    assert tally.requests == EPOCHS


async def test_a_burst_of_errors(tmp_path: Path) -> None:
    troubles = [Trouble("status", status, "0.1" if status == 503 else "") for status in (500, 503, 429, 500, 503) * 8]
    async with CountingServer(lambda number, body: troubles[number] if number < len(troubles) else None) as server:
        tally = await run([server], tmp_path / "out.jsonl")
    check(tmp_path / "out.jsonl")
    assert tally.faults.total() == len(troubles)


async def test_retry_after_is_kept(tmp_path: Path) -> None:
    """While a server asks to be left alone, it gets no request from anyone."""
    times: list[float] = []

    def trouble(number: int, body: dict[str, Any]) -> Trouble | None:
        times.append(time.monotonic())
        return Trouble("status", 503, "0.6") if number == 4 else None

    async with CountingServer(trouble) as server:
        await run([server], tmp_path / "out.jsonl", concurrency=1)
    check(tmp_path / "out.jsonl")
    assert times[5] - times[4] >= 0.55


async def test_an_overloaded_server_is_sent_less(tmp_path: Path) -> None:
    """A server that takes four at a time refuses a client of 32 less and less."""
    questions = [counting(6)] * 60
    async with CountingServer(most=4, delay=0.004) as server:
        tally = await run([server], tmp_path / "out.jsonl", questions, concurrency=32)
    check(tmp_path / "out.jsonl", questions)
    assert server.refused == tally.faults["overload"] > 0
    assert server.refused < 360


async def test_a_server_that_never_answers(tmp_path: Path) -> None:
    async with CountingServer(every(7, Trouble("hang"))) as server:
        tally = await run([server], tmp_path / "out.jsonl", timeout=0.3)
    check(tmp_path / "out.jsonl")
    assert tally.faults["timeout"] > 0


async def test_an_endpoint_that_vanishes_for_good(tmp_path: Path) -> None:
    """The others take over, trajectories that were under way there included."""
    async with CountingServer(delay=0.005) as stays, CountingServer(delay=0.005) as goes:

        async def leave() -> None:
            await goes.has_answered(10)
            await goes.stop()

        leaving = asyncio.create_task(leave())
        tally = await run([stays, goes], tmp_path / "out.jsonl")
        await leaving
    check(tmp_path / "out.jsonl")
    assert len(goes.asked) >= 10
    # A reply that was on its way when the server went is lost with it; nothing else is asked twice.
    assert 0 <= len(stays.asked) + len(goes.asked) - EPOCHS <= 8
    assert set(tally.by_endpoint) == {stays.url, goes.url}


async def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    async with CountingServer(delay=0.005) as server:

        async def restart() -> None:
            await server.has_answered(20)
            await server.stop()
            await asyncio.sleep(0.3)
            await server.start()

        restarting = asyncio.create_task(restart())
        tally = await run([server], tmp_path / "out.jsonl")
        await restarting
    check(tmp_path / "out.jsonl")
    assert tally.faults["away"] > 0
    assert 0 <= len(server.asked) - EPOCHS <= 8


async def test_a_trajectory_keeps_to_one_server(tmp_path: Path) -> None:
    """Its prefix cache knows the question there. Both servers get about half of the trajectories."""
    questions = [counting(3 + number) for number in range(16)]
    async with CountingServer(delay=0.002) as first, CountingServer(delay=0.002) as second:
        await run([first, second], tmp_path / "out.jsonl", questions)
        places = [{question for question, _ in server.asked} for server in (first, second)]
    check(tmp_path / "out.jsonl", questions)
    assert not places[0] & places[1]
    assert min(map(len, places)) >= 5


async def test_a_server_that_is_away_at_the_start_joins_later(tmp_path: Path) -> None:
    late = CountingServer(delay=0.005)
    await late.start()
    await late.stop()
    questions = [counting(6)] * 80
    async with CountingServer(delay=0.005) as there:

        async def arrive() -> None:
            await there.has_answered(60)
            await late.start()

        arriving = asyncio.create_task(arrive())
        await run([late, there], tmp_path / "out.jsonl", questions)
        await arriving
        await late.stop()
    check(tmp_path / "out.jsonl", questions)
    assert late.asked


async def test_nobody_there_at_the_start_is_said_at_once(tmp_path: Path) -> None:
    server = CountingServer()
    await server.start()
    await server.stop()
    with pytest.raises(ConnectionError, match="no server answers"):
        await run([server], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


async def test_when_no_server_is_left_the_run_ends_and_can_go_on(tmp_path: Path) -> None:
    async with CountingServer(delay=0.005) as server:

        async def leave() -> None:
            await server.has_answered(30)
            await server.stop()

        leaving = asyncio.create_task(leave())
        with pytest.raises(NoServerLeftError, match="all that was thought is kept"):
            await run([server], tmp_path / "out.jsonl", give_up_after=0.5)
        await leaving
        await server.start()
        tally = await run([server], tmp_path / "out.jsonl")
    check(tmp_path / "out.jsonl")
    assert tally.replayed > 0
    assert len(server.asked) - EPOCHS <= 8  # those whose replies were on their way


async def test_a_context_that_overflows_in_the_middle_fails_that_question_alone(tmp_path: Path) -> None:
    message = "This model's maximum context length is 64 tokens. However, your prompt contains 99 input tokens."

    def trouble(number: int, body: dict[str, Any]) -> Trouble | None:
        text = str(body["messages"])
        return Trouble("status", 400, message=message) if "Count to 6" in text and "3 of 6" in text else None

    async with CountingServer(trouble) as server:
        tally = await run([server], tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    statuses = Counter((each["question"] == "Count to 6.", each["status"]) for each in found)
    deep = QUESTIONS.count("Count to 6.")
    assert statuses == {(True, "failed"): deep, (False, "answered"): len(QUESTIONS) - deep}
    assert all("maximum context length" in each["error"] for each in found if each["status"] == "failed")
    assert tally.statuses["failed"] == deep


async def test_a_request_that_breaks_its_server_each_time_fails_alone(tmp_path: Path) -> None:
    def trouble(number: int, body: dict[str, Any]) -> Trouble | None:
        return Trouble("status", 500, message="kernel panic") if "Count to 6" in str(body["messages"]) else None

    questions = [counting(2)] * 40 + [counting(6)] + [counting(3)] * 40
    async with CountingServer(trouble, delay=0.01) as server:
        tally = await run([server], tmp_path / "out.jsonl", questions, concurrency=2)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert tally.statuses == {"answered": 80, "failed": 1}
    assert next(each["error"] for each in found if each["status"] == "failed").startswith("kernel panic") or any(
        "kernel panic" in each.get("error", "") for each in found
    )


async def test_a_wrong_key_ends_the_run_at_once(tmp_path: Path) -> None:
    async with CountingServer(lambda number, body: Trouble("status", 401, message="bad key")) as server:
        with pytest.raises(Exception, match="bad key"):
            await run([server], tmp_path / "out.jsonl")
    assert server.requests <= 8
    assert (tmp_path / "out.jsonl").read_text() == ""


async def test_a_storm(tmp_path: Path) -> None:
    """Everything at once, at random."""
    rng = random.Random(5)
    kinds = [Trouble("reset"), Trouble("cut"), Trouble("status", 429), Trouble("status", 503, "0.02")]
    kinds += [Trouble("status", 500), Trouble("hang")]

    def trouble(number: int, body: dict[str, Any]) -> Trouble | None:
        return rng.choice(kinds) if rng.random() < 0.4 else None

    async with CountingServer(trouble, delay=0.002) as first, CountingServer(trouble, delay=0.002) as second:

        async def restarts() -> None:
            while True:
                await asyncio.sleep(0.4)
                await second.stop()
                await asyncio.sleep(0.2)
                await second.start()

        restarting = asyncio.create_task(restarts())
        await run([first, second], tmp_path / "out.jsonl", timeout=0.5)
        restarting.cancel()
        await asyncio.gather(restarting, return_exceptions=True)
    check(tmp_path / "out.jsonl")
