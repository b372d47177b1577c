"""One request for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fake_vllm import FakeVLLM

from inftythink_graph.models._once import once
from inftythink_graph.models.vllm import ChatVLLM


async def test_all_who_wait_share_one_outcome_and_later_ones_ask_anew() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked

    assert await asyncio.gather(*(once("a", ask) for _ in range(5))) == [1] * 5
    assert await once("a", ask) == 2


async def test_other_keys_are_other_requests() -> None:
    async def ask() -> object:
        return object()

    first, second = await asyncio.gather(once("a", ask), once("b", ask))
    assert first is not second


async def test_an_error_reaches_each_of_them() -> None:
    async def ask() -> None:
        await asyncio.sleep(0)
        raise OSError("away")

    outcomes = await asyncio.gather(*(once("a", ask) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError] * 3


async def test_whoever_is_cancelled_takes_nothing_from_the_others() -> None:
    go = asyncio.Event()

    async def ask() -> str:
        await go.wait()
        return "there"

    impatient, patient = (asyncio.create_task(once("a", ask)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    go.set()
    assert await patient == "there"


async def test_many_questions_at_a_time_ask_the_server_once_what_it_serves(
    fake: FakeVLLM, build: Callable[..., ChatVLLM]
) -> None:
    model = build(model="")
    infos = await asyncio.gather(*(model.adescribe() for _ in range(20)))
    assert {info.window for info in infos} == {4096}
    assert [path for path, _ in fake.requests] == ["/v1/models"]
