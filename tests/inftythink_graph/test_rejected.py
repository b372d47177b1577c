"""What a rejected answer goes back into the loop with: a note in the summary, or the question alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inftythink_graph import Candidate, InftyThinkContext, InvalidInputError, Protocol, Verdict, create_inftythink_graph
from inftythink_graph.models import ModelCard, ModelInfo

Scripted = Callable[..., Any]
NATIVE = Protocol()


def epoch(segment: str, summary: str) -> str:
    return NATIVE.completion(segment, summary=summary)


def end(answer: str, segment: str = "done") -> str:
    return NATIVE.completion(segment, conclusion=f"It is \\boxed{{{answer}}}.")


def is_seven(candidate: Candidate) -> Verdict:
    return Verdict(candidate.answer == "7", "it must be odd")


async def test_a_restart_asks_the_question_alone_with_another_seed(scripted: Scripted) -> None:
    for asynchronous in (False, True):
        model = scripted(epoch("a", "S1"), end("6"), epoch("b", "S2"), end("7"))
        graph = create_inftythink_graph(
            model, protocol="native", verifier=is_seven, on_rejected="restart", seed=10, keep_trace=True
        )
        question = {"question": "What?"}
        result = (await graph.ainvoke(question)) if asynchronous else graph.invoke(question)
        assert (result["status"], result["answer"], result["epochs"]) == ("answered", "7", 4)
        prompts = [messages[0].content for messages, _ in model.calls]
        assert prompts == [NATIVE.render("What?", summary)[0]["content"] for summary in (None, "S1", None, "S2")]
        assert [options["seed"] for _, options in model.calls] == [11, 12, 13, 14]
        assert result["usage"]["requests"] == 4  # no summary of what is thrown away
        assert [record["summary"] for record in result["trace"]] == ["S1", "", "S2", ""]
        assert [record["verdict"] for record in result["trace"]] == ["", "it must be odd", "", ""]


def test_restarts_are_bounded_by_the_epochs_and_keep_the_last_answer(scripted: Scripted) -> None:
    model = scripted(epoch("a", "S1"), end("6"))
    graph = create_inftythink_graph(
        model, protocol="native", verifier=is_seven, on_rejected="restart", max_epochs=6, stall_after=2
    )
    result = graph.invoke({"question": "q"})
    assert (result["status"], result["answer"], result["epochs"]) == ("rejected", "6", 6)


def test_a_restart_that_runs_out_of_epochs_is_exhausted(scripted: Scripted) -> None:
    model = scripted(end("6"), epoch("b", "S2"))
    graph = create_inftythink_graph(
        model, protocol="native", verifier=is_seven, on_rejected="restart", max_epochs=2, on_exhausted="return"
    )
    result = graph.invoke({"question": "q"})
    assert (result["status"], result["answer"], result["epochs"]) == ("exhausted", "6", 2)


def test_the_note_is_the_default_and_one_call_can_choose(scripted: Scripted) -> None:
    script = (end("6", "wrong way"), "S1\n</summary>", end("7"))
    noted = scripted(*script)
    graph = create_inftythink_graph(noted, protocol="native", verifier=is_seven)
    assert graph.invoke({"question": "q"})["epochs"] == 2
    assert "rejected: it must be odd" in noted.calls[2][0][0].content

    restarted = scripted(end("6"), end("7"))
    graph = create_inftythink_graph(restarted, protocol="native", verifier=is_seven)
    context = InftyThinkContext(on_rejected="restart")
    assert graph.invoke({"question": "q"}, context=context)["answer"] == "7"
    assert restarted.calls[1][0][0].content == "q"


def test_restarts_of_a_greedy_run_are_refused_before_a_token_is_spent(scripted: Scripted) -> None:
    card = ModelCard(method="inftythink", context=900, eta=100, summary_budget=20, temperature=0.0)
    model = scripted(end("7"), info=ModelInfo(prefill=True, card=card))
    with pytest.raises(InvalidInputError, match="at temperature 0 would repeat the rejected run"):
        create_inftythink_graph(model, verifier=is_seven, on_rejected="restart").invoke({"question": "q"})
    assert not model.calls
    # Nothing is ever rejected without a verifier, and sampled runs differ.
    assert create_inftythink_graph(model, on_rejected="restart").invoke({"question": "q"})["answer"] == "7"
    graph = create_inftythink_graph(model, verifier=is_seven, on_rejected="restart", temperature=0.5)
    assert graph.invoke({"question": "q"})["answer"] == "7"


def test_on_rejected_names_what_is_allowed(scripted: Scripted) -> None:
    with pytest.raises(InvalidInputError, match="on_rejected must be one of"):
        create_inftythink_graph(scripted(end("7")), on_rejected="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "summary", "reason", "noted"),
    [
        ("6", "S1", "it must be odd", "The answer 6 was checked and rejected: it must be odd. Find"),
        ("6", "S1", "odd " * 30, "The answer 6 was checked and rejected. Find"),
        ("6 and some more words", "S1 " * 10, "it must be odd", None),
    ],
)
def test_a_note_takes_no_more_than_the_window_has_left(
    scripted: Scripted, answer: str, summary: str, reason: str, noted: str | None
) -> None:
    # The smallest window for a question of five words: the note gets what a summary leaves of its budget and its tags.
    window = 5 + (10 + 16) + (50 + 10 + 16) + 10
    model = scripted(end(answer), f"{summary}\n</summary>", end("7"), info=ModelInfo(window=window, prefill=True))
    graph = create_inftythink_graph(
        model,
        protocol="native",
        eta=50,
        summary_budget=10,
        verifier=lambda candidate: Verdict(candidate.answer == "7", reason),
    )
    assert graph.invoke({"question": "one two three four five"})["answer"] == "7"
    prompt = model.calls[2][0][0].content
    assert "S1" in prompt
    assert (noted in prompt) if noted else ("rejected" not in prompt)
    assert len(prompt.split()) + (50 + 10 + 16) + 10 <= window


def test_a_note_is_short_whatever_is_rejected(scripted: Scripted) -> None:
    model = scripted(end("6" * 900), "S1\n</summary>", end("7"))
    verifier = lambda candidate: Verdict(candidate.answer == "7", "long " * 900)  # noqa: E731
    create_inftythink_graph(model, protocol="native", verifier=verifier).invoke({"question": "q"})
    assert len(model.calls[2][0][0].content) < 600
