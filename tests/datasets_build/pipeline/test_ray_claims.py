"""Claims: of all workers that need a request one makes it, and its reply is kept before anybody gets it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets_build.pipeline.ray_claims import Claims
from datasets_build.summaries.request_cache import RequestCache
from inftythink_graph.journal import Journal, JournalWriteError

REPLY = {"text": "a summary"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "requests.jsonl") as opened:
        yield opened


async def waits(task: asyncio.Task[Any]) -> bool:
    """Whether a task has nothing to go on with."""
    for _ in range(10):
        await asyncio.sleep(0)
    return not task.done()


async def test_one_owner_makes_the_request_and_the_others_get_its_reply(journal: Journal) -> None:
    claims = Claims(RequestCache(journal), 4)
    assert await claims.claim(1, "k") is None
    other = asyncio.create_task(claims.claim(2, "k"))
    assert await waits(other)
    await claims.keep(1, "k", REPLY)
    assert journal.get("k") == REPLY
    assert await other == REPLY
    assert await claims.claim(3, "k") == REPLY


async def test_a_claim_that_is_left_goes_to_the_next(journal: Journal) -> None:
    claims = Claims(RequestCache(journal), 4)
    assert await claims.claim(1, "k") is None
    other = asyncio.create_task(claims.claim(2, "k"))
    assert await waits(other)
    await claims.leave(1, "k")
    assert await other is None
    assert "k" not in journal


async def test_an_owner_whose_worker_died_gets_its_claim_back_and_nothing_is_kept_twice(journal: Journal) -> None:
    claims = Claims(RequestCache(journal), 1)
    assert await claims.claim(1, "k") is None
    assert await claims.claim(1, "k") is None, "on another worker now; the one place is still its own"
    await claims.keep(1, "k", REPLY)
    await claims.keep(1, "k", {"text": "of the worker that was taken for dead"})
    assert await claims.claim(1, "k") == REPLY
    assert journal.path.read_text().count("\n") == 1


async def test_no_more_than_so_many_requests_are_made_at_a_time(journal: Journal) -> None:
    claims = Claims(RequestCache(journal), 2)
    assert [await claims.claim(owner, f"k{owner}") for owner in (1, 2)] == [None, None]
    third = asyncio.create_task(claims.claim(3, "k3"))
    assert await waits(third)
    await claims.keep(2, "k2", REPLY)
    assert await third is None


async def test_a_reply_that_can_not_be_kept_is_not_used(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    claims = Claims(RequestCache(journal), 2)
    assert await claims.claim(1, "k") is None
    other = asyncio.create_task(claims.claim(2, "k"))
    assert await waits(other)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalWriteError, match="No space left"):
        await claims.keep(1, "k", REPLY)
    assert await other is None, "the next may try"
