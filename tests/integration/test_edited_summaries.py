"""The answer follows from the summary that a human edited: the bundled model, every checkpointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from savers import CONFIG, PROBLEM, SAVERS, aopen_saver, open_saver

from datasets_build.synthetic import problem
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph

QUESTION: Any = {"question": PROBLEM.question}
EPOCH = 3
MORE = 7  # additions that the edited sum holds beyond what was added


@pytest.fixture(scope="module")
def model() -> EmbeddedChatModel:
    return EmbeddedChatModel()


def _edited(summary: str) -> tuple[str, str]:
    """The summary with a larger sum and as much left to do, and the answer that follows from it.

    That is where a longer problem of the same addend stands; the generator, not this test, knows how it is written.
    """
    addend, times = PROBLEM.params
    longer = problem("product", (addend, times + MORE))
    return longer.states[PROBLEM.states.index(summary) + MORE], longer.answer


def _after_epoch(history: Any) -> Any:
    return next(state for state in history if state.next == ("reason",) and state.values["epochs"] == EPOCH)


@pytest.mark.parametrize("kind", SAVERS)
def test_the_answer_follows_from_the_edited_summary(
    kind: str, address_of: Callable[[str], str], model: EmbeddedChatModel
) -> None:
    with open_saver(kind, address_of(kind)) as saver:
        graph = create_inftythink_graph(model, checkpointer=saver, keep_trace=True)
        first = graph.invoke(QUESTION, CONFIG)
        state = _after_epoch(graph.get_state_history(CONFIG))
        edited, expected = _edited(state.values["summary"])
        branch = graph.update_state(state.config, {"summary": edited}, as_node="summarize")
        second = graph.invoke(None, branch)
    assert (first["answer"], second["answer"]) == (PROBLEM.answer, expected)
    assert first["answer"] != second["answer"]
    assert [record["epoch"] for record in second["trace"]] == list(range(1, second["epochs"] + 1))
    assert second["trace"][:EPOCH] == first["trace"][:EPOCH]
    assert second["usage"]["requests"] == sum(len(record["contexts"]) for record in second["trace"])


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_the_answer_follows_in_asynchronous_runs(
    kind: str, address_of: Callable[[str], str], model: EmbeddedChatModel
) -> None:
    async with aopen_saver(kind, address_of(kind)) as saver:
        graph = create_inftythink_graph(model, checkpointer=saver)
        await graph.ainvoke(QUESTION, CONFIG, interrupt_after=["summarize"])
        for _ in range(EPOCH - 1):
            await graph.ainvoke(None, CONFIG, interrupt_after=["summarize"])
        edited, expected = _edited((await graph.aget_state(CONFIG)).values["summary"])
        await graph.aupdate_state(CONFIG, {"summary": edited}, as_node="summarize")
        assert (await graph.ainvoke(None, CONFIG))["answer"] == expected
