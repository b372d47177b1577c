"""A prompt that overflows the window in the middle of a run: what can be said in fewer words is, and no run is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError

from inftythink_graph import EmbeddedChatModel, Protocol, create_inftythink_graph

Scripted = Callable[..., Any]
NATIVE = Protocol()
SEGMENT = " ".join(f"word{number}" for number in range(64))
CUT = (f"<think>\n{SEGMENT}", "length")
END = NATIVE.completion("done", conclusion="It is \\boxed{7}.")
OVERFLOW = ContextOverflowError("the prompt has 195 tokens; the window of 192 leaves no room for an answer")


def run(model: Any, how: str = "sync", **options: Any) -> Any:
    graph = create_inftythink_graph(model, protocol="native", keep_trace=True, **options)
    if how == "sync":
        return graph.invoke({"question": "q"})
    return asyncio.run(graph.ainvoke({"question": "q"}))


def sent(model: Any) -> list[str]:
    """The last message of every request."""
    return [str(messages[-1].content) for messages, _ in model.calls]


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_segment_too_long_to_read_is_summarized_from_its_later_part(scripted: Scripted, how: str) -> None:
    model = scripted(CUT, OVERFLOW, OVERFLOW, "So far, so good.\n</summary>", END)
    result = run(model, how, summary_budget=8)
    assert (result["answer"], result["epochs"], result["summary"]) == ("7", 2, "So far, so good.")
    assert [text.count("word") for text in sent(model)] == [0, 64, 31, 15, 0]  # halved by characters
    assert all(text.split("\n</think>")[0].endswith("word62 word63") for text in sent(model)[1:4])
    first = result["trace"][0]
    assert first["segment"] == SEGMENT  # the record has all of it
    assert first["usage"]["requests"] == 2  # what was refused took nothing


@pytest.mark.parametrize("how", ["sync", "async"])
def test_where_no_prompt_fits_the_end_of_the_segment_is_the_summary(scripted: Scripted, how: str) -> None:
    model = scripted(CUT, *[OVERFLOW] * 6, END)
    result = run(model, how, summary_budget=8)
    assert (result["answer"], result["epochs"]) == ("7", 2)
    assert result["trace"][0]["summary"] == SEGMENT[-24:]
    lengths = [len(text) for text in sent(model)[1:-1]]
    assert lengths == sorted(lengths, reverse=True)
    assert "word63" in sent(model)[-1]


def test_a_run_keeps_what_it_has_where_its_answer_can_t_be_forced(scripted: Scripted) -> None:
    epochs = [NATIVE.completion("thinking", summary=f"S{number}") for number in (1, 2)]
    model = scripted(*epochs, OVERFLOW, OVERFLOW)
    result = run(model, max_epochs=2, on_exhausted="force")
    assert (result["status"], result["answer"], result["summary"]) == ("exhausted", None, "S1")
    assert result["usage"]["requests"] == 2
    assert ["thinking" in text for text in sent(model)[2:]] == [True, False]


def test_an_answer_is_forced_from_the_summary_alone_where_the_segment_doesn_t_fit(scripted: Scripted) -> None:
    result = run(scripted(CUT, OVERFLOW, "It is \\boxed{5}."), max_epochs=1, on_exhausted="force")
    assert (result["status"], result["answer"]) == ("exhausted", "5")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_an_epoch_s_own_prompt_has_nothing_to_leave_out(scripted: Scripted, how: str) -> None:
    with pytest.raises(ContextOverflowError, match="195 tokens"):
        run(scripted(NATIVE.completion("thinking", summary="S1"), OVERFLOW), how)


def test_bytes_that_are_no_character_are_not_carried_on(scripted: Scripted) -> None:
    broken = "\ufffd" * 30
    cut = (f"<think>\ntwo{broken}", "length")
    model = scripted(NATIVE.completion("one", summary=f"S1{broken}"), cut, f"S2{broken}\n</summary>", END)
    result = run(model)
    assert result["answer"] == "7"
    assert not any("\ufffd" in text for text in sent(model))
    assert [record["summary"] for record in result["trace"]] == ["S1", "S2", ""]
    assert result["trace"][1]["segment"] == f"two{broken}"


@pytest.mark.parametrize("seed", range(6))
def test_noise_from_a_real_model_stays_within_its_window(seed: int) -> None:
    """All tokens alike: bytes that form no characters, each of which takes three tokens to be read."""
    graph = create_inftythink_graph(
        EmbeddedChatModel(), temperature=200.0, seed=seed, max_epochs=4, on_exhausted="force"
    )
    result = graph.invoke({"question": "Multiply 7 by 9 by repeated addition."})
    assert result["status"] is not None
    assert result["usage"]["peak_context"] <= 256
