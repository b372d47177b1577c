"""What a summarizer has paid for is never asked for twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from scripted_summarizer import EXAMPLE, SEGMENTS, Ran, Summarizer, graph_of

from datasets_build.summaries.request_cache import RequestCache
from inftythink_graph import InvalidInputError
from inftythink_graph.journal import Journal
from inftythink_graph.state import no_usage


def test_a_finished_request_is_never_repeated_and_usage_says_so(ran: Ran, tmp_path: Path) -> None:
    first = Summarizer(script=["S1", ("", "stop"), "S2", ConnectionError("gone")])
    with Journal(tmp_path / "j.jsonl") as journal:
        result = ran(first, cache=RequestCache(journal), transport_tries=1)
        assert (result["status"], result["defect"]) == ("failed", "transport")
    second = Summarizer(script=["S3"])
    with Journal(tmp_path / "j.jsonl") as journal:
        result = ran(second, cache=RequestCache(journal), transport_tries=1)
    assert (result["summaries"], result["attempts"]) == (["S1", "S2", "S3"], [1, 2, 1])
    assert (result["usage"]["paid"]["requests"], result["usage"]["reused"]["requests"]) == (1, 3)
    assert len(second.calls) == 1
    third = Summarizer(script=[RuntimeError("never asked")])
    with Journal(tmp_path / "j.jsonl") as journal:
        again = ran(third, cache=RequestCache(journal))
    assert (again["summaries"], again["usage"]["paid"]) == (["S1", "S2", "S3"], no_usage())


def test_another_model_prompt_or_sampling_asks_anew(ran: Ran, tmp_path: Path) -> None:
    from dataclasses import replace

    from datasets_build.summaries.prompt import default_prompt

    example = {"question": "q", "segments": SEGMENTS[:2]}
    worded = replace(default_prompt(), version="2")
    variants: list[dict[str, Any]] = [{}, {"seed": 1}, {"temperature": 0.1}, {"prompt": worded}, {"model_name": "b"}]
    with Journal(tmp_path / "j.jsonl") as journal:
        for options in variants:
            result = ran(Summarizer(script=["S"]), example, cache=RequestCache(journal), **options)
            assert result["usage"]["paid"]["requests"] == 1
        assert len(journal) == len(variants)


def test_without_a_seed_each_attempt_is_a_request_of_its_own(ran: Ran, tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        model = Summarizer(script=[("", "stop"), "S1"])
        result = ran(
            model, {"question": "q", "segments": SEGMENTS[:2]}, cache=RequestCache(journal), seed=None, temperature=1.2
        )
    assert (result["summaries"], len(model.calls)) == (["S1"], 2)


async def test_a_cancelled_run_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        cache = RequestCache(journal)
        model = Summarizer(script=["S1", "S2", "S3"], delay=0.05)
        task = asyncio.create_task(graph_of(model, cache=cache).ainvoke(EXAMPLE))
        await asyncio.wait_for(model.third.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (len(model.calls), len(journal)) == (2, 2)
        rest = Summarizer(script=["S3"])
        result = await graph_of(rest, cache=cache).ainvoke(EXAMPLE)
        assert result["summaries"] == ["S1", "S2", "S3"]
        assert result["usage"]["reused"]["requests"] == 2
        assert len(rest.calls) == 1


async def test_the_same_example_twice_at_once_is_paid_for_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        model = Summarizer(script=["S1"], delay=0.02)
        results = await graph_of(model, cache=RequestCache(journal)).abatch([EXAMPLE] * 4)
    assert len(model.calls) == 3
    assert sum(result["usage"]["paid"]["requests"] for result in results) == 3
    assert all(result["summaries"] == ["S1"] * 3 for result in results)


def test_a_cache_needs_the_models_name(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal, pytest.raises(InvalidInputError, match="model_name="):
        graph_of(Summarizer(script=["S"], model_name=""), cache=RequestCache(journal))
