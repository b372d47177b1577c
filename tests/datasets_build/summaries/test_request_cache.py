"""The cache of requests: a finished request is never repeated."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from datasets_build.summaries.request_cache import RequestCache, request_key
from inftythink_graph.journal import Journal, JournalWriteError


def test_the_key_depends_on_all_that_the_reply_depends_on() -> None:
    base: dict[str, Any] = {"model": "m", "sampling": {"seed": 1, "temperature": 0.5}, "prompt": "1-a"}
    messages = [{"role": "user", "content": "q"}]
    keys = {
        request_key(messages, **base),
        request_key([{"role": "user", "content": "p"}], **base),
        request_key(messages, **base | {"model": "n"}),
        request_key(messages, **base | {"sampling": {"seed": 2, "temperature": 0.5}}),
        request_key(messages, **base | {"prompt": "1-b"}),
    }
    assert len(keys) == 5
    turned = base | {"sampling": {"temperature": 0.5, "seed": 1}}
    assert request_key(messages, **turned) == request_key(messages, **base)


def test_a_finished_request_is_not_repeated_after_reopening(tmp_path: Path) -> None:
    made: list[int] = []
    for _ in range(2):
        with Journal(tmp_path / "j.jsonl") as journal:
            cache = RequestCache(journal)
            value, known = cache.call("k", lambda: made.append(1) or {"text": "reply"})
            assert (value, known) == ({"text": "reply"}, bool(cache.hits))
    assert made == [1]


async def test_tasks_and_threads_that_make_the_same_request_make_it_once(tmp_path: Path) -> None:
    made: list[str] = []

    async def slow() -> str:
        made.append("task")
        await asyncio.sleep(0.05)
        return "reply"

    def blocking() -> str:
        made.append("thread")
        time.sleep(0.05)
        return "reply"

    with Journal(tmp_path / "j.jsonl") as journal:
        cache = RequestCache(journal)
        tasks = [cache.acall("k", slow) for _ in range(10)]
        threads = [asyncio.to_thread(cache.call, "k", blocking) for _ in range(3)]
        results = await asyncio.gather(*tasks, *threads)
        assert {value for value, _ in results} == {"reply"}
        assert (len(made), cache.misses, cache.hits, len(journal)) == (1, 1, 12, 1)


async def test_where_the_first_fails_or_is_cancelled_the_next_one_asks(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        cache, started = RequestCache(journal), asyncio.Event()

        async def hang() -> str:
            started.set()
            await asyncio.sleep(60)
            return "never"

        async def fail() -> str:
            raise ConnectionError("gone")

        async def fine() -> str:
            return "reply"

        first = asyncio.create_task(cache.acall("k", hang))
        await started.wait()
        second = asyncio.create_task(cache.acall("k", fail))
        third = asyncio.create_task(cache.acall("k", hang))
        fourth = asyncio.create_task(cache.acall("k", fine))
        await asyncio.sleep(0.01)
        third.cancel()  # one that waits: the others don't notice
        first.cancel()
        results = await asyncio.gather(first, second, third, fourth, return_exceptions=True)
        assert [type(result) for result in results[:3]] == [
            asyncio.CancelledError,
            ConnectionError,
            asyncio.CancelledError,
        ]
        assert results[3] == ("reply", False)
        assert not cache._under_way


def test_a_reply_that_cant_be_kept_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with Journal(tmp_path / "j.jsonl") as journal:
        cache = RequestCache(journal)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(JournalWriteError):
                cache.call("k", lambda: "reply")
        assert cache.call("k", lambda: "again") == ("again", False)
    assert [json.loads(line)["value"] for line in (tmp_path / "j.jsonl").read_text().splitlines()] == ["again"]
