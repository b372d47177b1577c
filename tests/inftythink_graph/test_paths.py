"""Several paths: who wins, what is stopped, what it costs. Each run is tried blocking and on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from path_models import PathModel, end, once_decided, step, when

from inftythink_graph import (
    Candidate,
    InftyThinkContext,
    InvalidInputError,
    ServerUnavailableError,
    create_inftythink_graph,
)
from inftythink_graph.models import ModelCard, ModelInfo
from inftythink_graph.path_state import SEED_STRIDE

Run = Callable[..., dict[str, Any]]
QUESTION = {"question": "What?"}


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(graph: Any, *args: Any, **options: Any) -> dict[str, Any]:
        if request.param == "sync":
            return graph.invoke(*args, **options)
        return asyncio.run(graph.ainvoke(*args, **options))

    return run


def graph_of(*scripts: list[Any], **options: Any) -> tuple[Any, PathModel]:
    model = PathModel(scripts=list(scripts))
    given = {"protocol": "native", "seed": 0, "num_paths": len(scripts), **options}
    return create_inftythink_graph(model, **given), model


def statuses(result: dict[str, Any]) -> list[str]:
    return [record["status"] for record in result["paths"]]


def test_the_majority_of_equivalent_answers_wins(run: Run) -> None:
    graph, _ = graph_of([end("3")], [step(1), end("1/2")], [step(1), step(2), end("0.5")])
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"], result["epochs"]) == ("1/2", "answered", 2)
    assert result["conclusion"] == "It is \\boxed{1/2}."
    assert result["summary"] == "S1"
    assert result["votes"] == [
        {"answer": "1/2", "votes": 2, "paths": [2, 3]},
        {"answer": "3", "votes": 1, "paths": [1]},
    ]
    assert [(r["path"], r["answer"], r["votes"], r["epochs"]) for r in result["paths"]] == [
        (1, "3", 1, 1),
        (2, "1/2", 2, 2),
        (3, "0.5", 2, 3),
    ]
    assert sorted(record["place"] for record in result["paths"]) == [1, 2, 3]


def test_usage_is_the_sum_over_paths_with_the_highest_peak(run: Run) -> None:
    graph, model = graph_of([end("3")], [step(1), end("4")])
    result = run(graph, QUESTION)
    usages = [record["usage"] for record in result["paths"]]
    for key in ("requests", "prompt_tokens", "completion_tokens", "sum_tokens", "sum_squared_tokens", "seconds"):
        assert result["usage"][key] == pytest.approx(sum(usage[key] for usage in usages))
    assert result["usage"]["requests"] == len(model.asked) == 3
    assert result["usage"]["peak_context"] == max(usage["peak_context"] for usage in usages)
    assert result["wall_seconds"] > 0


def test_a_decided_majority_stops_the_rest(run: Run) -> None:
    slow = [step(1), once_decided(step(2)), *map(step, range(3, 40)), end("9")]
    graph, model = graph_of([end("7")], slow, [end("7")], [end("7.0")], slow)
    model.scripts[0] = [when(lambda: model.requests(2) == model.requests(5) == 2, end("7"))]
    result = run(graph, QUESTION)
    assert result["answer"] == "7"
    assert statuses(result) == ["answered", "stopped", "answered", "answered", "stopped"]
    assert [model.requests(path) for path in (2, 5)] == [2, 2]
    assert result["paths"][1]["summary"] == "S1"
    assert (result["paths"][1]["answer"], result["paths"][1]["votes"], result["paths"][1]["epochs"]) == (None, 0, 2)
    assert result["usage"]["requests"] == len(model.asked) == 7


def test_a_conclusion_in_flight_counts_though_all_is_decided(run: Run) -> None:
    graph, model = graph_of([end("7")], [end("7")], [once_decided(end("8"))])
    model.scripts[0] = [when(lambda: model.requests(3) == 1, end("7"))]
    result = run(graph, QUESTION)
    assert statuses(result) == ["answered"] * 3
    assert [count["votes"] for count in result["votes"]] == [2, 1]


def test_while_a_tie_is_possible_nothing_is_stopped(run: Run) -> None:
    graph, model = graph_of([end("7")], [end("7")], [step(1), end("8")], [step(1), step(2), end("8")])
    result = run(graph, QUESTION)
    assert statuses(result) == ["answered"] * 4
    assert len(model.asked) == 7
    assert result["answer"] == "7"  # two against two: the fewest epochs


def test_a_tie_goes_to_the_quicker_path_whatever_its_number(run: Run) -> None:
    graph, _ = graph_of([step(1), step(2), end("7")], [step(1), end("8")])
    result = run(graph, QUESTION)
    assert (result["answer"], result["epochs"]) == ("8", 2)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_with_little_concurrency_whole_paths_are_never_begun(run: Run, concurrency: int) -> None:
    graph, model = graph_of(*[[end("7")]] * 9)
    result = run(graph, QUESTION, {"max_concurrency": concurrency})
    answered = statuses(result).count("answered")
    assert 5 <= answered <= 5 + concurrency - 1
    assert len(model.asked) == answered
    assert statuses(result)[5 + concurrency - 1 :] == ["stopped"] * (9 - (5 + concurrency - 1))
    assert [record["epochs"] for record in result["paths"][-2:]] == [0, 0]
    assert result["paths"][-1]["usage"]["requests"] == 0
    voted = [number for number, status in enumerate(statuses(result), 1) if status == "answered"]
    # Which of two that run at once ends first, and so which one is stopped, is the machine's choice.
    assert concurrency > 1 or voted == list(range(1, answered + 1))
    assert result["votes"] == [{"answer": "7", "votes": answered, "paths": voted}]


def test_more_paths_than_the_machine_has_threads_run_at_once() -> None:
    """Each of 40 paths waits until all have asked: with a pool of the machine's size they would wait for ever."""
    import threading

    everybody = threading.Barrier(40, timeout=60)

    def entry() -> str:
        everybody.wait()
        return end("7")

    graph, _ = graph_of(*[[entry]] * 40)
    assert graph.invoke(QUESTION)["answer"] == "7"


def test_the_first_answer_that_the_verifier_accepts_wins_and_stops_the_rest(run: Run) -> None:
    slow = [step(1), once_decided(step(2)), end("7")]
    graph, model = graph_of([end("6")], slow, [step(1), end("7")], slow, verifier=lambda c: c.answer == "7")
    # The first path's answer is rejected: it goes on with a summary of its own, and is stopped as well.
    model.scripts[0] = [end("6"), "S", once_decided(step(1))]
    model.scripts[2][1] = when(lambda: all(model.requests(path) >= 2 for path in (1, 2, 4)), end("7"))
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"], result["epochs"]) == ("7", "answered", 2)
    assert statuses(result) == ["stopped", "stopped", "answered", "stopped"]
    assert result["votes"] == [{"answer": "7", "votes": 1, "paths": [3]}]
    assert result["paths"][0]["answer"] == "6"  # the rejected one, which has no vote
    assert result["paths"][0]["votes"] == 0


def test_with_a_verifier_the_first_accepted_answer_beats_more_numerous_ones(run: Run) -> None:
    late = once_decided(end("7"))
    graph, model = graph_of([late], [end("14")], [late], verifier=lambda candidate: int(candidate.answer) % 7 == 0)
    model.scripts[1] = [when(lambda: model.requests(1) == model.requests(3) == 1, end("14"))]
    result = run(graph, QUESTION)
    assert result["answer"] == "14"
    assert result["paths"][1]["place"] == 1
    assert [count["answer"] for count in result["votes"]] == ["7", "14"]


def test_answers_that_are_all_rejected_are_still_counted(run: Run) -> None:
    graph, _ = graph_of([end("6")], [end("8")], [end("8")], verifier=lambda _: False, max_epochs=1)
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"]) == ("8", "rejected")
    assert [count["votes"] for count in result["votes"]] == [2, 1]


def test_forced_answers_count_only_where_nothing_was_concluded(run: Run) -> None:
    guess = [step(1), "I guess \\boxed{9}."]
    graph, _ = graph_of(guess, guess, [end("7")], max_epochs=1)
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"]) == ("7", "answered")
    assert [record["votes"] for record in result["paths"]] == [0, 0, 1]
    graph, _ = graph_of(guess, guess, [step(1), "I guess \\boxed{8}."], max_epochs=1)
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"]) == ("9", "exhausted")


def test_no_answer_at_all_is_a_status(run: Run) -> None:
    graph, _ = graph_of([step(1)], [step(1)], max_epochs=1, on_exhausted="return")
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"], result["votes"]) == (None, "exhausted", [])


def test_no_two_paths_share_a_seed_and_the_first_has_those_of_a_single_run() -> None:
    graph, model = graph_of([step(1), end("7")], [step(1), end("8")], [step(1), end("9")])
    graph.invoke(QUESTION)
    seeds = sorted(options["seed"] for _, options in model.asked)
    assert seeds == [1, 2, SEED_STRIDE + 1, SEED_STRIDE + 2, 2 * SEED_STRIDE + 1, 2 * SEED_STRIDE + 2]
    assert [r["seed"] for r in graph.invoke(QUESTION)["paths"]] == [0, SEED_STRIDE, 2 * SEED_STRIDE]


def test_without_a_seed_none_is_sent(scripted: Callable[..., Any]) -> None:
    model = scripted(end("7"))
    result = create_inftythink_graph(model, protocol="native", num_paths=2).invoke(QUESTION)
    assert all("seed" not in options for _, options in model.calls)
    assert [record["seed"] for record in result["paths"]] == [None, None]


def test_a_trace_per_path_and_the_winners_on_top(run: Run) -> None:
    slow = [step(1), once_decided(step(2))]
    graph, model = graph_of([step(1), end("7")], [end("7")], slow, keep_trace=True)
    model.scripts[1] = [when(lambda: model.requests(3) == 2, end("7"))]
    result = run(graph, QUESTION)
    assert [len(record["trace"]) for record in result["paths"]] == [2, 1, 2]
    assert result["trace"] == result["paths"][1]["trace"]
    stopped = result["paths"][2]
    assert [entry["segment"] for entry in stopped["trace"]] == ["segment 1", "segment 2"]
    assert sum(entry["usage"]["requests"] for entry in stopped["trace"]) == stopped["usage"]["requests"]


@pytest.mark.parametrize("paths", [1, 2, 4])
def test_a_call_may_choose_the_number_of_paths(run: Run, paths: int) -> None:
    graph, model = graph_of(*[[end("7")]] * 4, num_paths=3)
    result = run(graph, QUESTION, context=InftyThinkContext(num_paths=paths))
    assert len(result["paths"]) == paths
    assert {path for path, _ in model.asked} <= set(range(1, paths + 1))


def test_a_call_may_choose_more_epochs_than_the_graph(run: Run) -> None:
    script = [*map(step, range(1, 60)), end("7")]
    graph, _ = graph_of(script, script, max_epochs=2)
    result = run(graph, QUESTION, {"recursion_limit": 5}, context=InftyThinkContext(max_epochs=80))
    assert [record["epochs"] for record in result["paths"]] == [60, 60]


def test_one_path_is_the_graph_as_it_is_without() -> None:
    graph, _ = graph_of([end("7")])
    assert set(graph.get_graph().nodes) == {"__start__", "reason", "check_answer", "summarize", "__end__"}
    assert "paths" not in graph.invoke(QUESTION)
    with pytest.raises(InvalidInputError, match=r"made for one path, got num_paths=3.*at least 2"):
        graph.invoke(QUESTION, context=InftyThinkContext(num_paths=3))


def test_what_makes_no_sense_is_refused(scripted: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInputError, match="num_paths must be at least 1, got 0"):
        graph_of([end("7")], num_paths=0)
    with pytest.raises(InvalidInputError, match="num_paths=3 needs a temperature above 0"):
        graph_of([end("7")], num_paths=3, temperature=0)
    card = ModelCard(method="inftythink", context=900, eta=100, summary_budget=20, temperature=0.0)
    model = scripted(end("1"), info=ModelInfo(window=900, prefill=True, card=card))
    with pytest.raises(InvalidInputError, match="card recommends"):
        create_inftythink_graph(model, num_paths=2).invoke(QUESTION)
    with pytest.raises(InvalidInputError, match="question is empty"):
        create_inftythink_graph(model, num_paths=2, temperature=0.7).invoke({"question": " "})
    assert not model.calls
    greedy = InftyThinkContext(num_paths=1, temperature=0)
    assert create_inftythink_graph(model, num_paths=2).invoke(QUESTION, context=greedy)["answer"] == "1"


def test_an_error_of_one_path_ends_the_run_and_soon(run: Run) -> None:
    error = ServerUnavailableError("no server answers")
    graph, model = graph_of([step(1), error], [*map(step, range(1, 500)), end("7")], max_epochs=600)
    model.scripts[1][1] = when(lambda: model.requests(1) == 2, step(2))
    with pytest.raises(ServerUnavailableError, match="no server answers"):
        run(graph, QUESTION)
    assert model.requests(2) < 400


def test_an_error_after_the_decision_changes_nothing(run: Run) -> None:
    failing = once_decided(ServerUnavailableError("no server\nanswers"))
    graph, model = graph_of([end("7")], [end("7")], [step(1), failing])
    model.scripts[1] = [when(lambda: model.requests(3) == 2, end("7"))]
    result = run(graph, QUESTION)
    assert (result["answer"], result["status"]) == ("7", "answered")
    lost = result["paths"][2]
    assert (lost["status"], lost["error"], lost["epochs"]) == ("stopped", "no server answers", 1)
    assert lost["usage"]["requests"] == 1  # what is known of it
    assert [record["error"] for record in result["paths"][:2]] == ["", ""]


def test_a_fault_in_the_verifier_is_never_passed_over(run: Run) -> None:
    def verify(candidate: Candidate) -> bool:
        if candidate.answer == "8":
            raise ZeroDivisionError("a fault")
        return True

    graph, model = graph_of([end("7")], [once_decided(end("8"))], verifier=verify)
    model.scripts[0] = [when(lambda: model.requests(2) == 1, end("7"))]
    with pytest.raises(ZeroDivisionError, match="a fault"):
        run(graph, QUESTION)
