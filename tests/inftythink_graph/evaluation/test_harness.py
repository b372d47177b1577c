"""The harness: every trial is made once and kept, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from counting_model import CountingModel, counting_questions

from inftythink_graph import InvalidInputError
from inftythink_graph.evaluation.folder import find_runs, read_run
from inftythink_graph.evaluation.harness import aevaluate, evaluate
from inftythink_graph.evaluation.methods import InftyThink, Vanilla
from inftythink_graph.evaluation.tasks import Task
from inftythink_graph.evaluation.trials import Question
from inftythink_graph.journal import Journal, JournalBusyError
from inftythink_graph.path_state import SEED_STRIDE


def counting(*numbers: int) -> Task:
    return Task("count", counting_questions(numbers), "made", "sha256:0", "{problem}")


def thinking(model: CountingModel, **options: Any) -> InftyThink:
    return InftyThink(model, protocol="native", temperature=0.7, **options)


def test_trials_say_what_happened(tmp_path: Path) -> None:
    run = evaluate(counting(1, 4), thinking(CountingModel()), tmp_path, samples=2, traces=1)
    trials = {(trial["question"], trial["sample"]): trial for trial in run.trials}
    assert set(trials) == {("n1", 0), ("n1", 1), ("n4", 0), ("n4", 1)}
    right, wrong = trials["n4", 0], trials["n4", 1]
    assert (right["answer"], right["correct"], right["scoring"]) == ("4", True, "equal")
    assert (wrong["answer"], wrong["correct"], wrong["scoring"]) == ("5", False, "different")
    assert wrong["seed"] - right["seed"] == SEED_STRIDE
    assert len(right["contexts"]) == 4 == right["usage"]["requests"]
    assert right["usage"]["peak_context"] == max(sum(request) for epoch in right["contexts"] for request in epoch)
    assert (right["status"], right["forced"], right["malformed"]) == ("answered", False, 0)
    assert set(run.traces) == {("n1", 0), ("n4", 0)}
    assert [epoch["summary"] for epoch in run.traces["n4", 0]["epochs"]][:3] == [f"I am at {n}." for n in (1, 2, 3)]
    assert run.config["max_epochs"] == 50
    assert read_run(tmp_path) == run


def test_a_run_out_of_epochs_is_told_apart(tmp_path: Path) -> None:
    for on_exhausted, forced in (("force", True), ("return", False)):
        method = thinking(CountingModel(), max_epochs=2, on_exhausted=on_exhausted)
        (trial,) = evaluate(counting(9), method, tmp_path / on_exhausted, samples=1).trials
        assert trial["status"] == "exhausted"
        # Asked to answer, the model goes on counting: its summary is taken for the conclusion.
        assert trial["forced"] is forced
        assert not trial["correct"]


def test_one_chain_is_one_epoch(tmp_path: Path) -> None:
    model = CountingModel(chain=True)
    run = evaluate(counting(3), Vanilla(model, max_len=500, temperature=0.5), tmp_path, samples=2)
    assert [len(trial["contexts"]) for trial in run.trials] == [1, 1]
    assert {request["max_tokens"] for request in model.asked} == {500}
    assert {request["seed"] for request in model.asked} == {0, SEED_STRIDE}
    assert run.traces["n3", 0]["epochs"][0]["segment"] == "that is 3"


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_and_repeats_nothing_that_was_kept(tmp_path: Path) -> None:
    whole = evaluate(counting(*range(1, 8)), thinking(CountingModel()), tmp_path / "whole", samples=3, concurrency=3)

    def die(requests: int) -> None:
        if requests == 20:
            raise Killed

    task, folder = counting(*range(1, 8)), tmp_path / "killed"
    with pytest.raises(Killed):
        evaluate(task, thinking(CountingModel(fault=die)), folder, samples=3, concurrency=3)
    kept = read_run(folder).trials
    assert 0 < len(kept) < 21
    told: list[int] = []
    model = CountingModel()
    options: dict[str, Any] = {"samples": 3, "concurrency": 3, "on_start": lambda trials: told.append(len(trials))}
    resumed = evaluate(task, thinking(model), folder, **options)
    assert told == [len(kept)]
    assert len(model.asked) == sum(len(trial["contexts"]) for trial in resumed.trials) - sum(
        len(trial["contexts"]) for trial in kept
    )

    def told_apart(run: Any) -> list[Any]:
        trials = [{**trial, "seconds": 0, "usage": {**trial["usage"], "seconds": 0}} for trial in run.trials]
        return sorted(trials, key=lambda trial: (trial["question"], trial["sample"]))

    assert told_apart(resumed) == told_apart(whole)


def test_samples_and_questions_are_added_to_a_finished_run(tmp_path: Path) -> None:
    method = thinking(CountingModel())
    evaluate(counting(1, 2), method, tmp_path, samples=1, settings={"limit": 2})
    run = evaluate(counting(1, 2, 3), method, tmp_path, samples=2, settings={"limit": None})
    assert len(run.trials) == 6
    assert (run.config["samples"], run.config["limit"]) == (2, None)
    again = evaluate(counting(1), method, tmp_path, samples=1, settings={"limit": 1})
    assert [question.id for question in again.questions] == ["n1", "n2", "n3"]
    assert len(again.trials) == 6
    assert (again.config["samples"], again.config["limit"]) == (2, None)


def test_a_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    evaluate(counting(1), thinking(CountingModel()), tmp_path, samples=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InvalidInputError, match=r"max_epochs was 50, is 7"):
        evaluate(counting(1), thinking(CountingModel(), max_epochs=7), tmp_path, samples=1)
    changed = Task("count", (Question("n1", "count to 2", "2"),), "made", "sha256:0", "{problem}")
    with pytest.raises(InvalidInputError, match="'n1' has changed"):
        evaluate(changed, thinking(CountingModel()), tmp_path, samples=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_processes_dont_write_one_run(tmp_path: Path) -> None:
    evaluate(counting(1), thinking(CountingModel()), tmp_path, samples=1)
    with Journal(tmp_path / "trials.jsonl"), pytest.raises(JournalBusyError):
        evaluate(counting(1), thinking(CountingModel()), tmp_path, samples=2)


def away(requests: int) -> None:
    """Every other request meets a server that is away."""
    if requests % 2:
        raise openai.APIConnectionError(request=httpx.Request("POST", "http://127.0.0.1/v1"))


@pytest.mark.parametrize("method", [InftyThink, Vanilla])
def test_a_server_that_comes_back_costs_no_epoch(tmp_path: Path, method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def soon(seconds: float, *rest: Any) -> None:
        waits.append(seconds)
        await sleep(0, *rest)

    model = CountingModel(fault=away, chain=method is Vanilla)
    options = {"protocol": "native"} if method is InftyThink else {}
    monkeypatch.setattr(asyncio, "sleep", soon)
    run = evaluate(counting(3), method(model, temperature=0.7, **options), tmp_path, samples=1, concurrency=1)
    (trial,) = run.trials
    assert trial["correct"]
    assert len(trial["contexts"]) == (1 if method is Vanilla else 3)
    assert len(model.asked) == 2 * len(trial["contexts"])
    if method is InftyThink:  # the other one waits with a sleep of its own
        assert len([wait for wait in waits if wait > 0.1]) == 3


def test_an_error_that_would_hit_every_question_ends_the_run_and_says_what_it_was(tmp_path: Path) -> None:
    def wrong(requests: int) -> None:
        if requests > 4:
            raise PermissionError("the key is wrong")

    with pytest.raises(PermissionError, match="the key is wrong"):
        evaluate(counting(1, 2, 3, 4, 5), thinking(CountingModel(fault=wrong)), tmp_path, samples=1, concurrency=1)
    assert {trial["question"] for trial in read_run(tmp_path).trials} >= {"n1", "n2"}


async def test_no_more_than_the_allowed_number_is_under_way_and_none_waits_for_another(tmp_path: Path) -> None:
    model = CountingModel(delay=0.01)
    order: list[str] = []
    task = counting(12, 1, 1 + 1, 3)
    await aevaluate(
        task,
        thinking(model),
        tmp_path,
        samples=1,
        concurrency=2,
        on_trial=lambda trial: order.append(trial["question"]),
    )
    assert model.busiest == 2
    assert order[-1] == "n12"  # the short ones passed it by


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples must be at least 1"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"traces": -1}, "traces must be at least 0"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        evaluate(counting(1), thinking(CountingModel()), tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_several_samples_at_temperature_0_are_refused(tmp_path: Path) -> None:
    method = InftyThink(CountingModel(), protocol="native", temperature=0)
    with pytest.raises(InvalidInputError, match="the same answer 2 times"):
        evaluate(counting(1), method, tmp_path, samples=2)
    assert evaluate(counting(1), method, tmp_path, samples=1).trials[0]["correct"]


def test_runs_are_found_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("b", "a"):
        evaluate(counting(1), thinking(CountingModel()), tmp_path / "task" / name, samples=1)
    assert find_runs(tmp_path) == [tmp_path / "task" / "a", tmp_path / "task" / "b"]
    with pytest.raises(InvalidInputError, match="holds no evaluation"):
        find_runs(tmp_path / "task" / "a" / "nothing")
    (tmp_path / "task" / "a" / "run.json").write_text(json.dumps({"label": "x"}))
    with pytest.raises(InvalidInputError, match="label, task and config must be there"):
        read_run(tmp_path / "task" / "a")


def test_a_line_that_a_kill_tore_is_left_out(tmp_path: Path) -> None:
    evaluate(counting(1, 2), thinking(CountingModel()), tmp_path, samples=1)
    trials = tmp_path / "trials.jsonl"
    trials.write_bytes(trials.read_bytes()[:-20])
    assert len(read_run(tmp_path).trials) == 1
    assert len(evaluate(counting(1, 2), thinking(CountingModel()), tmp_path, samples=1).trials) == 2
