"""A run that is cut off goes on at the epoch it was in: real checkpointers, a real model, a real kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest
import savers
from langgraph.checkpoint.base import BaseCheckpointSaver
from power_cut import BreaksOff, PowerCutError
from savers import CONFIG, PROBLEM, SAVERS, aopen_saver, open_saver

from inftythink_graph import EmbeddedChatModel, InftyThinkOutput, create_inftythink_graph

QUESTION: Any = {"question": PROBLEM.question}
CALLS = 4  # of the model, that are paid for and stored when the run breaks off


@pytest.fixture(scope="module")
def model() -> EmbeddedChatModel:
    return EmbeddedChatModel()


@pytest.fixture(scope="module")
def whole(model: EmbeddedChatModel) -> InftyThinkOutput:
    """What the run returns that nothing interrupts."""
    return cast(InftyThinkOutput, create_inftythink_graph(model, keep_trace=True).invoke(QUESTION))


def _graph(model: EmbeddedChatModel, saver: BaseCheckpointSaver[Any]) -> Any:
    return create_inftythink_graph(model, checkpointer=saver, keep_trace=True)


def _comparable(result: Any) -> dict[str, Any]:
    """A result as JSON has it (savers bring tuples back as lists), without what differs from run to run: times."""
    trace = json.loads(json.dumps(result["trace"]))
    for record in trace:
        record["usage"]["seconds"] = 0
    same = {key: result[key] for key in ("answer", "conclusion", "status", "epochs", "summary")}
    return {**same, "trace": trace, "usage": {**result["usage"], "seconds": 0}}


def _killed_run(kind: str, address: str, mode: str) -> None:
    """Let a run in a process of its own be killed in the model call after CALLS."""
    done = subprocess.run([sys.executable, savers.__file__, kind, address, mode, str(CALLS)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_killed_run_goes_on_in_the_epoch_it_was_in(
    kind: str, address_of: Callable[[str], str], model: EmbeddedChatModel, whole: InftyThinkOutput
) -> None:
    address = address_of(kind)
    _killed_run(kind, address, "sync")
    with open_saver(kind, address) as saver:
        graph = _graph(model, saver)
        state = graph.get_state(CONFIG)
        assert state.values["usage"]["requests"] == CALLS
        assert state.next in (("reason",), ("summarize",))  # the nodes that ask
        resumed = graph.invoke(None, {**CONFIG, "callbacks": [BreaksOff(whole["usage"]["requests"] - CALLS)]})
    assert _comparable(resumed) == _comparable(whole)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_killed_asynchronous_run_goes_on_in_the_epoch_it_was_in(
    kind: str, address_of: Callable[[str], str], model: EmbeddedChatModel, whole: InftyThinkOutput
) -> None:
    address = address_of(kind)
    _killed_run(kind, address, "async")
    async with aopen_saver(kind, address) as saver:
        graph = _graph(model, saver)
        state = await graph.aget_state(CONFIG)
        assert state.values["usage"]["requests"] == CALLS
        assert state.next in (("reason",), ("summarize",))  # the nodes that ask
        resumed = await graph.ainvoke(None, {**CONFIG, "callbacks": [BreaksOff(whole["usage"]["requests"] - CALLS)]})
    assert _comparable(resumed) == _comparable(whole)


@pytest.mark.parametrize("durability", ["sync", "exit"])
@pytest.mark.parametrize("kind", SAVERS)
async def test_a_run_that_an_error_broke_off_goes_on_where_it_was(
    kind: str,
    durability: Literal["sync", "exit"],
    address_of: Callable[[str], str],
    model: EmbeddedChatModel,
    whole: InftyThinkOutput,
) -> None:
    """Also with ``durability="exit"``: an error leaves the run by the door, unlike a kill."""
    broken: Any = {**CONFIG, "callbacks": [BreaksOff(CALLS)]}
    with open_saver(kind, address_of(kind)) as saver:
        graph = _graph(model, saver)
        with pytest.raises(PowerCutError):
            graph.invoke(QUESTION, broken, durability=durability)
        assert graph.get_state(CONFIG).values["usage"]["requests"] == CALLS
        resumed = graph.invoke(None, {**CONFIG, "callbacks": [BreaksOff(whole["usage"]["requests"] - CALLS)]})
    assert _comparable(resumed) == _comparable(whole)

    async with aopen_saver(kind, address_of(kind)) as saver:
        graph = _graph(model, saver)
        with pytest.raises(PowerCutError):
            await graph.ainvoke(QUESTION, {**CONFIG, "callbacks": [BreaksOff(CALLS)]}, durability=durability)
        assert (await graph.aget_state(CONFIG)).values["usage"]["requests"] == CALLS
        resumed = await graph.ainvoke(None, {**CONFIG, "callbacks": [BreaksOff(whole["usage"]["requests"] - CALLS)]})
    assert _comparable(resumed) == _comparable(whole)


@pytest.mark.parametrize("kind", SAVERS)
def test_leaving_no_checkpoint_but_the_last(
    kind: str, address_of: Callable[[str], str], model: EmbeddedChatModel, whole: InftyThinkOutput
) -> None:
    with open_saver(kind, address_of(kind)) as saver:
        graph = _graph(model, saver)
        for runs in (1, 2):
            result = graph.invoke(QUESTION, CONFIG, durability="exit")
            assert _comparable(result) == _comparable(whole)
            assert len(list(graph.get_state_history(CONFIG))) <= 2 * runs
            assert _comparable(graph.get_state(CONFIG).values) == _comparable(whole)
