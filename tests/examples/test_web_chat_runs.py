"""The web chat without a browser: what it makes of a run, how a run ends, what a page may load."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from slow_thinker import SlowThinker, concluding
from web_chat import CONTENT_POLICY, Chat, build_app, main
from web_chat_view import Run, answer_html, meter_html, thoughts

HOSTILE = "<img src=x onerror=alert(1)> & <b>"
ASKED = [{"role": "user", "content": "How much is 3 + 4?"}]


def chat_of(model: SlowThinker, *, follow_up: bool = False, **options: Any) -> Chat:
    return Chat(model, follow_up=follow_up, protocol="native", **{"max_epochs": 9, **options})


async def run_of(chat: Chat, said: list[dict[str, str]] = ASKED) -> Run:
    return [run async for run in chat.pictures("session", said)][-1]


async def test_a_run_is_folded_from_its_stream() -> None:
    run = await run_of(chat_of(SlowThinker(script=concluding(3))))
    assert (run.status, run.answer, len(run.epochs)) == ("answered", "7", 3)
    assert run.epochs[0].segment == "thought 1 about How much is 3 + 4?"
    assert [epoch.summary for epoch in run.epochs] == ["so far 1", "so far 2", ""]
    assert run.epochs[2].conclusion == run.conclusion == "It is \\boxed{7}."
    assert run.usage["requests"] == 3
    assert run.chain > run.usage["completion_tokens"]
    assert "epoch" in meter_html(run)


async def test_it_is_shown_while_it_grows() -> None:
    seen = []
    async for run in chat_of(SlowThinker(script=concluding(3), delay=0.03)).pictures("session", ASKED):
        seen.append((len(run.epochs), sum(len(epoch.segment) for epoch in run.epochs), run.status))
    assert len(seen) > 4
    assert seen == sorted(seen)
    assert [status for *_, status in seen if status] == ["answered"]


async def test_a_run_can_be_stopped_and_the_next_one_goes_its_way() -> None:
    model = SlowThinker(script=concluding(99), delay=0.02)
    chat = chat_of(model, max_epochs=200)
    run = Run()
    async for run in chat.pictures("session", ASKED):
        if run.epochs:
            chat.stop(SimpleNamespace(session_hash="somebody else"))  # type: ignore[arg-type]
            chat.stop(SimpleNamespace(session_hash="session"))  # type: ignore[arg-type]
    assert run.status == "stopped"
    assert "stopped" in answer_html(run)
    written = model.written
    await asyncio.sleep(0.2)
    assert model.written == written
    model.script = concluding(1)
    assert (await run_of(chat, [{"role": "user", "content": "another"}])).status == "answered"


async def test_a_reader_who_leaves_ends_the_run() -> None:
    model = SlowThinker(script=concluding(99), delay=0.02)
    pictures = chat_of(model, max_epochs=200).pictures("session", ASKED)
    await anext(pictures)
    await pictures.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)
    written = model.written
    await asyncio.sleep(0.2)
    assert model.written == written


async def test_a_question_stands_for_itself_unless_it_follows_up() -> None:
    said = [*ASKED, {"role": "assistant", "content": "7"}, {"role": "user", "content": "And times 2?"}]
    for follow_up in (False, True):
        model = SlowThinker(script=concluding(1))
        await run_of(chat_of(model, follow_up=follow_up), said)
        asked = str([message.content for message in model.prompts[0]])
        assert "And times 2?" in asked
        assert ("How much is 3 + 4?" in asked) == follow_up


async def test_what_goes_wrong_is_said(caplog: pytest.LogCaptureFixture) -> None:
    def broken(question: str, asked: int) -> str:
        raise RuntimeError("the script\nis torn")

    run = await run_of(chat_of(SlowThinker(script=broken)))
    assert (run.status, run.error) == ("failed", "the script is torn")
    assert "the script is torn" in answer_html(run)
    assert "a run failed" in caplog.text
    caplog.clear()
    run = await run_of(chat_of(SlowThinker(script=concluding(1))), [{"role": "user", "content": " "}])
    assert run.status == "failed"
    assert not caplog.text  # what the user can mend needs no traceback


async def test_a_long_run_is_shown_in_part_while_it_goes_on() -> None:
    run = await run_of(chat_of(SlowThinker(script=concluding(30)), max_epochs=40))
    assert len(thoughts(run, "k")) == 1 + 30
    run.status = ""
    shown = thoughts(run, "k")
    assert len(shown) < 12
    assert "epochs 1 to 22" in shown[0]["content"]
    assert [message["metadata"]["status"] for message in shown].count("pending") == 2  # the whole, and the last epoch


def test_what_a_model_writes_is_text() -> None:
    run = Run(window=100)
    run.take("custom", {"event": "epoch_started", "epoch": 1, "max_epochs": 5, "summary": ""})
    for part in ("segment", "summary", "conclusion"):
        content: Any = HOSTILE if part == "conclusion" else [{"type": "reasoning", "reasoning": HOSTILE}]
        run.take("messages", (SimpleNamespace(name=part, content=content), {}))
    shown = thoughts(run, "k")
    assert "<img" not in str([message["content"] for message in shown])
    assert "&lt;img" in shown[1]["content"]
    assert "<" not in "".join(message["metadata"]["title"] for message in shown)
    run.answer = run.conclusion = HOSTILE
    run.end("failed", HOSTILE)
    assert "<img" not in answer_html(run) + meter_html(run)


def test_a_page_is_held_to_its_server() -> None:
    from fastapi.testclient import TestClient

    app = build_app(chat_of(SlowThinker(script=concluding(1))), about="<scripted>")
    with TestClient(app) as client:
        reply = client.get("/")
        assert reply.headers["content-security-policy"] == CONTENT_POLICY
        assert "connect-src 'self'" in CONTENT_POLICY
        assert client.get("/config").json()["analytics_enabled"] is False
    assert "<scripted>" not in reply.text


def test_a_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--base-url", "http://127.0.0.1:9/v1"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("web_chat: ")
    assert said.count("\n") == 1
