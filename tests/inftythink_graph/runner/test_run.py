"""Many questions at a time: every one answered, whatever the order; a run that was broken off goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from counting_server import CountingServer, Trouble, counting

from inftythink_graph.append_only import JournalBusyError
from inftythink_graph.errors import InvalidInputError, ModelNotServedError
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.runner import Tally, arun_many


def model(server: CountingServer, **options: Any) -> ChatVLLM:
    return ChatVLLM(base_url=server.url, api_key="none", **options)


async def run(server: CountingServer, questions: Any, output: Path, **options: Any) -> Tally:
    options = {"protocol": None, "eta": 100, "summary_budget": 50, **options}
    return await arun_many(questions, output, model(server), **{**options, "protocol": options["protocol"] or NATIVE})


NATIVE: Any = __import__("inftythink_graph").Protocol()


def results(output: Path) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for line in output.read_text().splitlines():
        result = json.loads(line)
        assert result["index"] not in found, "a question was answered twice"
        found[result["index"]] = result
    return found


async def test_every_question_is_answered_in_no_order(tmp_path: Path) -> None:
    depths = [1 + number * 7 % 9 for number in range(40)]
    async with CountingServer(delay=0.001) as server:
        tally = await run(server, [counting(depth) for depth in depths], tmp_path / "out.jsonl", concurrency=8)
    found = results(tmp_path / "out.jsonl")
    assert sorted(found) == list(range(40))
    assert [found[index]["answer"] for index in range(40)] == [str(depth) for depth in depths]
    assert [found[index]["epochs"] for index in range(40)] == depths
    assert (tally.finished, tally.statuses["answered"], tally.epochs) == (40, 40, sum(depths))
    assert tally.requests == len(server.asked) == sum(depths)
    assert 4 <= server.peak <= 8
    assert [found[index]["question"] for index in range(40)] == [counting(depth) for depth in depths]


async def test_a_file_is_read_as_it_is_needed_and_ids_are_kept(tmp_path: Path) -> None:
    lines = [{"id": f"q{n}", "problem": counting(2)} for n in range(3)] + [{"messages": [["user", counting(3)]]}]
    source = tmp_path / "in.jsonl"
    source.write_text("\n\n".join(map(json.dumps, lines)) + "\n")
    async with CountingServer() as server:
        tally = await run(server, source, tmp_path / "out.jsonl")
    found = results(tmp_path / "out.jsonl")
    assert (tally.total, tally.finished) == (4, 4)
    assert [found[index].get("id") for index in range(4)] == ["q0", "q1", "q2", None]
    assert found[3]["answer"] == "3"


async def test_a_run_that_was_broken_off_goes_on_within_its_questions(tmp_path: Path) -> None:
    """What was asked before isn't asked again, within a question either."""
    questions = [counting(depth) for depth in (6, 1, 8, 3)]

    def broken(number: int, body: dict[str, Any]) -> Trouble | None:
        return Trouble("status", 401) if number >= 9 else None

    async with CountingServer(broken, delay=0.002) as server:
        with pytest.raises(Exception, match="too much"):
            await run(server, questions, tmp_path / "out.jsonl", concurrency=3)
        before = list(server.asked)
        server.trouble = lambda number, body: None
        tally = await run(server, questions, tmp_path / "out.jsonl", concurrency=3)
        again = server.asked[len(before) :]
    assert len(before) == 9
    # Replies that were on their way when the run ended are lost with it; nothing else is asked twice.
    assert 0 <= len(before) + len(again) - (6 + 1 + 8 + 3) <= 2
    assert tally.replayed > 0
    found = results(tmp_path / "out.jsonl")
    assert [found[index]["answer"] for index in range(4)] == ["6", "1", "8", "3"]
    assert [found[index]["epochs"] for index in range(4)] == [6, 1, 8, 3]
    assert not (tmp_path / "out.jsonl.run" / "replies.jsonl").exists()


async def test_a_finished_run_asks_nothing_and_questions_can_be_added(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"question": counting(2)}) + "\n")
    async with CountingServer() as server:
        await run(server, source, output)
        assert (await run(server, source, output)).finished == 0
        with source.open("a") as file:
            file.write(json.dumps({"question": counting(3)}) + "\n")
        tally = await run(server, source, output)
    assert (tally.kept, tally.finished, len(server.asked)) == (1, 1, 5)
    source.write_text(json.dumps({"question": counting(7)}) + "\n")
    async with CountingServer() as server:
        with pytest.raises(InvalidInputError, match="isn't what the answers there are to"):
            await run(server, source, output)


async def test_other_options_need_another_output(tmp_path: Path) -> None:
    async with CountingServer() as server:
        await run(server, [counting(1)], tmp_path / "out.jsonl")
        with pytest.raises(InvalidInputError, match="was begun with eta 100, not eta 90"):
            await run(server, [counting(1)], tmp_path / "out.jsonl", eta=90)
        with pytest.raises(InvalidInputError, match="was begun with seed 0, not seed 5"):
            await run(server, [counting(1)], tmp_path / "out.jsonl", seed=5)
        (tmp_path / "other.jsonl").write_text("something else\n")
        with pytest.raises(InvalidInputError, match=r"line 1 of .* is no result of a run"):
            await run(server, [counting(1)], tmp_path / "other.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 of .* is no JSON"),
        ("{}", "question 1 of .* has no question; allowed keys: question, problem, prompt, messages"),
        ("3", "question 1 of .* must be a text or an object, got int"),
        ('{"question": "q", "id": {}}', "an id must be a text or a number, got dict"),
    ],
)
async def test_a_bad_line_is_found_before_anything_is_asked(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(counting(1)) + "\n" + line + "\n")
    async with CountingServer() as server:
        with pytest.raises(InvalidInputError, match=message):
            await run(server, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert server.requests == 0


async def test_bad_arguments(tmp_path: Path) -> None:
    async with CountingServer() as server:
        for options, message in (
            ({"concurrency": 0}, "concurrency must be at least 1"),
            ({"give_up_after": 0}, "give_up_after must be above 0"),
            ({"num_paths": 2}, "allowed: num_paths=1"),
            ({"max_epochs": 0}, "max_epochs"),
        ):
            with pytest.raises(InvalidInputError, match=message):
                await run(server, [counting(1)], tmp_path / "out.jsonl", **options)
        with pytest.raises(InvalidInputError, match="at least one server"):
            await arun_many([counting(1)], tmp_path / "out.jsonl", [])
        with pytest.raises(InvalidInputError, match="named twice"):
            await arun_many([counting(1)], tmp_path / "out.jsonl", [model(server), model(server)])
        with pytest.raises(ModelNotServedError, match="'counter'"):
            await arun_many([counting(1)], tmp_path / "out.jsonl", model(server, model="other"))
        with pytest.raises(InvalidInputError, match="there is no file"):
            await run(server, tmp_path / "none.jsonl", tmp_path / "out.jsonl")


async def test_a_question_that_can_t_be_asked_fails_alone(tmp_path: Path) -> None:
    async with CountingServer() as server:
        tally = await run(server, [counting(2), "  ", counting(3)], tmp_path / "out.jsonl")
    found = results(tmp_path / "out.jsonl")
    assert [found[index]["status"] for index in range(3)] == ["answered", "failed", "answered"]
    assert "the question is empty" in found[1]["error"]
    assert tally.statuses["failed"] == 1


async def test_two_runs_don_t_write_one_file(tmp_path: Path) -> None:
    async with CountingServer(delay=0.05) as server:
        first = asyncio.create_task(run(server, [counting(5)], tmp_path / "out.jsonl"))
        await asyncio.sleep(0.15)
        with pytest.raises(JournalBusyError):
            await run(server, [counting(5)], tmp_path / "out.jsonl")
        await first


async def test_seeds_depend_on_the_question_s_place_alone(tmp_path: Path) -> None:
    seeds: dict[str, list[int]] = {}

    def note(number: int, body: dict[str, Any]) -> None:
        seeds.setdefault(body["messages"][-1]["content"][:12], []).append(body["seed"])

    short: dict[str, Any] = {"max_epochs": 2, "on_exhausted": "return"}
    async with CountingServer(note) as server:
        await run(server, [counting(11), counting(22)], tmp_path / "a.jsonl", seed=7, concurrency=2, **short)
        once = {question: sorted(found) for question, found in seeds.items()}
        seeds.clear()
        await run(server, [counting(11), counting(22)], tmp_path / "b.jsonl", seed=7, concurrency=1, **short)
    assert once == {question: sorted(found) for question, found in seeds.items()}
    assert not set(once["Count to 11."]) & set(once["Count to 22."])
