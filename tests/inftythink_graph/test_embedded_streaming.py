"""The in-process model's streams: the text of a whole reply, as it is written; who leaves ends a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessageChunk

from inftythink_graph import EmbeddedChatModel, Protocol, create_inftythink_graph
from inftythink_graph.models._batcher import Batcher
from inftythink_graph.models._listening import Listener, TextPieces, listen_async

QUESTION = "Multiply 12 by 5 by repeated addition."
PROMPT = Protocol().render(QUESTION)
SAMPLED = {"temperature": 2.0, "seed": 3, "max_tokens": 40}


@pytest.fixture(scope="module")
def model() -> EmbeddedChatModel:
    return EmbeddedChatModel()


def whole(chunks: Sequence[Any]) -> AIMessageChunk:
    """The chunks added up."""
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    return total


@pytest.mark.parametrize("options", [{}, SAMPLED, {"max_tokens": 1}], ids=["greedy", "sampled", "one token"])
def test_a_stream_is_the_reply_in_pieces(model: EmbeddedChatModel, options: dict[str, Any]) -> None:
    reply = model.invoke(PROMPT, **options)
    chunks = list(model.stream(PROMPT, **options))
    total = whole(chunks)
    assert total.text == reply.text
    assert total.usage_metadata == reply.usage_metadata
    assert total.response_metadata["finish_reason"] == reply.response_metadata["finish_reason"]
    assert chunks[-1].chunk_position == "last"


async def test_the_same_asynchronously_and_in_a_batch(model: EmbeddedChatModel) -> None:
    seeds = range(4)
    alone = [model.invoke(PROMPT, temperature=2.0, seed=seed, max_tokens=20 + seed).text for seed in seeds]

    async def streamed(seed: int) -> str:
        options = {"temperature": 2.0, "seed": seed, "max_tokens": 20 + seed}
        return whole([chunk async for chunk in model.astream(PROMPT, **options)]).text

    async def invoked(seed: int) -> str:
        return (await model.ainvoke(PROMPT, temperature=2.0, seed=seed, max_tokens=20 + seed)).text

    together = await asyncio.gather(*(streamed(seed) for seed in seeds), *(invoked(seed) for seed in seeds))
    assert together == alone * 2


def test_pieces_come_while_the_rest_is_still_being_written(model: EmbeddedChatModel) -> None:
    told: list[str] = []
    request = model._request([*PROMPT], None, {"max_tokens": 12})  # type: ignore[list-item]
    (completion,) = model._loaded()[0].run([replace(request, listener=Listener(told.append))])
    assert len(told) > 6
    assert completion.text.startswith("".join(told))


def test_who_leaves_ends_the_row_and_no_other(model: EmbeddedChatModel) -> None:
    engine = model._loaded()[0]
    request = model._request([*PROMPT], None, {"max_tokens": 60})  # type: ignore[list-item]
    told: list[str] = []

    def deliver(text: str) -> None:
        told.append(text)
        if len(told) == 3:
            listener.leave()

    listener = Listener(deliver)
    (alone,) = engine.run([replace(request, listener=listener)])
    assert alone.tokens <= 5
    told.clear()
    listener = Listener(deliver)
    _, stayed = engine.run([replace(request, listener=listener), request])
    assert len(told) == 3
    assert stayed == engine.run([request])[0]
    assert stayed.tokens > 30


def _watched() -> tuple[EmbeddedChatModel, list[int]]:
    """A model, and the sizes of what it generated: one number for each finished request."""
    model = EmbeddedChatModel()
    engine = model._loaded()[0]
    sizes: list[int] = []

    def run(requests: Any) -> Any:
        done = engine.run(requests)
        sizes.extend(completion.tokens for completion in done)
        return done

    model._batcher = Batcher(run, max_batch=8, name="watched")
    return model, sizes


def _wait_for(sizes: list[int]) -> int:
    deadline = time.monotonic() + 20
    while not sizes and time.monotonic() < deadline:
        time.sleep(0.01)
    return sizes[0]


LONG = {"max_tokens": 150, "temperature": 9.0, "seed": 1}  # noise that doesn't end by itself


def test_a_closed_stream_ends_its_request() -> None:
    model, sizes = _watched()
    assert model.invoke(PROMPT, **LONG).usage_metadata["output_tokens"] == 150  # type: ignore[index]
    sizes.clear()
    stream = model.stream(PROMPT, **LONG)
    assert "".join(chunk.text for chunk in islice(stream, 1))
    stream.close()  # type: ignore[attr-defined]
    assert _wait_for(sizes) < 150


async def test_a_cancelled_task_ends_its_request() -> None:
    model, sizes = _watched()
    task = asyncio.create_task(model.ainvoke(PROMPT, **LONG))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    reply = await model.ainvoke(PROMPT, max_tokens=3)
    assert reply.usage_metadata is not None
    assert sizes[-1] == 3
    assert sizes[0] < 150


async def test_a_stream_whose_reader_is_cancelled_ends_its_request() -> None:
    model, sizes = _watched()
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in model.astream(PROMPT, **LONG):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(_wait_for, sizes) < 150


def test_a_loop_that_is_closed_under_way_does_not_stop_the_model() -> None:
    future: Future[int] = Future()
    future.set_running_or_notify_cancel()
    listeners: list[Listener] = []

    def submit(listener: Listener) -> Future[int]:
        listeners.append(listener)
        listener.put("first")
        return future

    loop = asyncio.new_event_loop()
    pieces = listen_async(submit)
    assert loop.run_until_complete(anext(pieces)) == "first"
    loop.close()
    listeners[0].put("second")  # nobody can be told; that must not end the thread that generates
    assert listeners[0].gone
    future.set_result(7)


def test_errors_reach_the_reader() -> None:
    model, _ = _watched()
    with pytest.raises(ContextOverflowError):
        list(model.stream([{"role": "user", "content": "1 " * 400}]))

    def broken(requests: Any) -> Any:
        raise ValueError("no memory")

    model._batcher = Batcher(broken, max_batch=8, name="broken")
    with pytest.raises(ValueError, match="no memory"):
        list(model.stream(PROMPT))


def test_the_graph_streams_its_tokens(model: EmbeddedChatModel) -> None:
    graph = create_inftythink_graph(model, max_epochs=8, keep_trace=True, temperature=0)
    result = graph.invoke({"question": QUESTION})
    texts: dict[tuple[str, str], str] = {}
    chunks = 0
    for chunk, _ in graph.stream({"question": QUESTION}, stream_mode="messages"):
        chunks += 1
        key = (chunk.id.split(":")[1], chunk.name)
        text = chunk.text or "".join(block.get("reasoning", "") for block in chunk.content_blocks)
        texts[key] = texts.get(key, "") + text
    assert chunks > 3 * result["epochs"]
    for record in result["trace"]:
        epoch = str(record["epoch"])
        assert texts[epoch, "segment"] == record["segment"]
        assert texts.get((epoch, "summary"), "") == record["summary"]
    assert texts[str(result["epochs"]), "conclusion"] == result["conclusion"]


@cache
def _byte_level() -> Any:
    """A tokenizer that cuts characters into bytes, as those of most models do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {symbol: at for at, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@given(st.text())
def test_characters_of_several_tokens_come_whole(text: str) -> None:
    tokenizer = _byte_level()
    ids = tokenizer.encode(text).ids
    pieces = TextPieces(lambda part: tokenizer.decode(list(part)))
    given_pieces = [pieces.feed(token) for token in ids]
    so_far = "".join(given_pieces)
    assert text.startswith(so_far)
    assert not any("�" in piece for piece in given_pieces) or "�" in text
    if not text.endswith("�"):
        assert so_far == text


@given(st.lists(st.integers(0, 500), max_size=40))
def test_any_tokens_give_the_beginning_of_their_text(numbers: list[int]) -> None:
    tokenizer = _byte_level()
    ids = [number % tokenizer.get_vocab_size() for number in numbers]
    pieces = TextPieces(lambda part: tokenizer.decode(list(part)))
    assert tokenizer.decode(ids).startswith("".join(pieces.feed(token) for token in ids))
