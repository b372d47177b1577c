"""How many requests a server gets at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from inftythink_graph.runner import gate as module
from inftythink_graph.runner.gate import Gate


async def _hold(gate: Gate, until: asyncio.Event) -> None:
    async with gate.slot():
        await until.wait()


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_are_let_through_in_order() -> None:
    gate, order = Gate(3), []
    release: list[asyncio.Event] = [asyncio.Event() for _ in range(8)]

    async def one(number: int) -> None:
        async with gate.slot():
            order.append(number)
            await release[number].wait()

    tasks = [asyncio.create_task(one(number)) for number in range(8)]
    await _turns()
    assert (gate.running, order) == (3, [0, 1, 2])
    release[1].set()
    await _turns()
    assert (gate.running, order) == (3, [0, 1, 2, 3])
    for event in release:
        event.set()
    await asyncio.gather(*tasks)
    assert (gate.running, order) == (0, list(range(8)))


async def test_an_overload_halves_what_was_running_once_and_success_raises_it_slowly() -> None:
    gate, done = Gate(16), asyncio.Event()
    tasks = [asyncio.create_task(_hold(gate, done)) for _ in range(8)]
    await _turns()
    for _ in range(5):  # all of them report the one overload
        gate.overloaded()
    assert gate.limit == 4
    for _ in range(4):
        gate.succeeded()
    assert 4.8 < gate.limit <= 5
    for _ in range(1000):
        gate.succeeded()
    assert gate.limit == 16
    done.set()
    await asyncio.gather(*tasks)


async def test_the_limit_never_falls_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COOLDOWN", 0.0)
    gate = Gate(4)
    for _ in range(10):
        gate.overloaded()
    assert gate.limit == 1
    async with gate.slot():
        assert gate.running == 1


async def test_a_closed_gate_opens_by_itself_when_the_time_is_over() -> None:
    gate = Gate(2)
    gate.overloaded(0.2)
    start = time.monotonic()
    await asyncio.gather(*(_hold(gate, _set()) for _ in range(4)))
    assert time.monotonic() - start >= 0.19


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@pytest.mark.parametrize("moment", ["waiting", "just let through"])
async def test_who_is_cancelled_leaves_the_place_to_the_next(moment: str) -> None:
    gate, first_done, done = Gate(1), asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(_hold(gate, first_done))
    await _turns()
    second, third = (asyncio.create_task(_hold(gate, done)) for _ in range(2))
    await _turns()
    if moment == "waiting":
        second.cancel()
        await _turns()
        first_done.set()
    else:
        first_done.set()
        await asyncio.sleep(0)  # the first one leaves and lets the second one through, which doesn't run any more
        second.cancel()
    await _turns()
    assert gate.running == 1
    assert not third.done()
    done.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert gate.running == 0
    await _free(lambda: asyncio.wait_for(_hold(gate, _set()), 1))


async def _free(use: Callable[[], Awaitable[None]]) -> None:
    await use()
