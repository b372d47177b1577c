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
MORE = (3, 5, 7)  # additions that the edited sums hold beyond what was added


@pytest.fixture(scope="module")
def model() -> EmbeddedChatModel:
    return EmbeddedChatModel()


def _edits(summary: str) -> list[tuple[str, str]]:
    """Summaries with a larger sum and as much left to do, and the answers that follow from them.

    That is where longer problems of the same addend stand; the generator, not this test, knows how it is written.
    """
    addend, times = PROBLEM.params
    longer = [(more, problem("product", (addend, times + more))) for more in MORE]
    return [(other.states[PROBLEM.states.index(summary) + more], other.answer) for more, other in longer]


def _follow(answers: list[str | None], edits: list[tuple[str, str]]) -> bool:
    """Whether answers are those that follow from the edits; the model may err once."""
    assert PROBLEM.answer not in answers
    return sum(answer == expected for answer, (_, expected) in zip(answers, edits, strict=True)) >= len(edits) - 1


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
        edits, results = _edits(state.values["summary"]), []
        for edited, _ in edits:
            branch = graph.update_state(state.config, {"summary": edited}, as_node="summarize")
            results.append(graph.invoke(None, branch))
    assert first["answer"] == PROBLEM.answer
    assert _follow([result["answer"] for result in results], edits)
    for result in results:
        assert [record["epoch"] for record in result["trace"]] == list(range(1, result["epochs"] + 1))
        assert result["trace"][:EPOCH] == first["trace"][:EPOCH]
        assert result["usage"]["requests"] == sum(len(record["contexts"]) for record in result["trace"])


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_the_answer_follows_in_asynchronous_runs(
    kind: str, address_of: Callable[[str], str], model: EmbeddedChatModel
) -> None:
    async with aopen_saver(kind, address_of(kind)) as saver:
        graph = create_inftythink_graph(model, checkpointer=saver)
        await graph.ainvoke(QUESTION, CONFIG, interrupt_after=["summarize"])
        for _ in range(EPOCH - 1):
            await graph.ainvoke(None, CONFIG, interrupt_after=["summarize"])
        state = await graph.aget_state(CONFIG)
        edits, answers = _edits(state.values["summary"]), []
        for edited, _ in edits:
            branch = await graph.aupdate_state(state.config, {"summary": edited}, as_node="summarize")
            answers.append((await graph.ainvoke(None, branch))["answer"])
    assert _follow(answers, edits)
