"""The web chat in a real browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import PATIENCE, Visitor, browser, opened
from playwright.sync_api import Browser
from slow_thinker import SlowThinker, concluding

from inftythink_graph import Protocol

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
QUESTION = "Multiply 46 by 24 by repeated addition."
HOSTILE = (
    '<img src="http://192.0.2.1/a.png" onerror="window.hit=1"><script>window.hit=2</script>'
    " ![p](http://192.0.2.1/b.png) [link](http://192.0.2.1/) **bold** ${window.hit=3} {{value}} @children <b>&amp;"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def command() -> Iterator[str]:
    """``python examples/web_chat.py`` as it stands; gives the address that it prints."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "examples/web_chat.py", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith(f"http://127.0.0.1:{port} "), said
        _until(lambda: _listening(port) != [], "it doesn't listen")
        yield said.split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _listening(port: int) -> list[str]:
    """The local addresses that listen on a port, as the kernel has them: hexadecimal."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port]


def _until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE / 1000) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def served(model: SlowThinker, **options: object) -> Iterator[str]:
    """The page in this process, with a scripted model; gives its address."""
    import uvicorn
    from web_chat import Chat, build_app

    settings = {"follow_up": False, "protocol": "native", "max_epochs": 200, **options}
    app = build_app(Chat(model, **settings), about="scripted")  # type: ignore[arg-type]
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        _until(lambda: server.started, "the server doesn't start")
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def ask(visitor: Visitor, question: str) -> None:
    """Type a question and send it off."""
    visitor.page.locator("#question textarea").fill(question)
    visitor.page.keyboard.press("Enter")


def epochs(visitor: Visitor) -> int:
    """How many epochs the meter shows."""
    meter = visitor.page.locator(".it-meter")
    return int(meter.get_attribute("data-epochs") or 0) if meter.count() else 0


def result(visitor: Visitor, number: int = 1) -> str:
    """The text of the n-th result, once it is there."""
    visitor.page.locator(".it-result").nth(number - 1).wait_for()
    return visitor.page.locator(".it-result").nth(number - 1).inner_text()


def test_the_bundled_model_is_watched_as_it_thinks(chromium: Browser) -> None:
    with command() as address, opened(chromium, address) as visitor:
        assert _listening(int(address.rsplit(":", 1)[1])) == ["0100007F"]  # this machine alone
        ask(visitor, QUESTION)
        _until(lambda: epochs(visitor) >= 2, "no epochs")
        assert visitor.page.locator(".it-result").count() == 0  # they appear while it runs
        assert visitor.page.locator("#stop").is_visible()
        said = result(visitor)
        assert "1104" in said
        assert "answered" in said
        assert f"{epochs(visitor)} epochs" in said
        thinking = visitor.page.locator(".thought-group")
        _until(lambda: thinking.count() == 1, "the thinking isn't folded")
        assert thinking.first.inner_text().startswith("Thought for")
        thinking.first.locator("[role=button]").first.click()
        _until(lambda: thinking.count() == 1 + epochs(visitor), "the epochs can't be unfolded")

        visitor.page.reload()
        visitor.page.get_by_text("Multiply 89 by 122").wait_for()
        assert visitor.page.locator(".it-result").count() == 0
        visitor.page.get_by_text("Multiply 89 by 122").click()
        assert "10858" in result(visitor)
        assert visitor.elsewhere == []
        assert visitor.complaints == []


def test_what_a_model_writes_stays_text(chromium: Browser) -> None:
    native = Protocol()

    def script(question: str, asked: int) -> str:
        if asked < 3:
            return native.completion(f"{HOSTILE} {asked}", summary=f"{HOSTILE} {asked}")
        return native.completion("done", conclusion=f"{HOSTILE} \\boxed{{{HOSTILE}}}")

    with served(SlowThinker(script=script)) as address, opened(chromium, address) as visitor:
        ask(visitor, HOSTILE)
        assert HOSTILE in result(visitor)
        buttons = visitor.page.locator(".thought-group > [role=button]")
        buttons.first.click()
        for number in (1, 2, 3):
            buttons.nth(number).click()
        talk = visitor.page.locator("#talk")
        _until(lambda: talk.inner_text().count(HOSTILE) >= 7, "some of it isn't shown as it is")
        assert talk.locator("img, a, script, b, strong").count() == 0
        assert visitor.page.evaluate("window.hit") is None
        assert visitor.elsewhere == []
        # Should something get through all the same: the browser refuses to load it.
        visitor.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://192.0.2.1/c.png\">')")
        _until(lambda: any("Content Security Policy" in each for each in visitor.complaints), "it was let through")


def test_stop_ends_the_run(chromium: Browser) -> None:
    model = SlowThinker(script=concluding(10_000), delay=0.1)
    with served(model, max_epochs=20_000) as address, opened(chromium, address) as visitor:
        ask(visitor, "think forever")
        _until(lambda: epochs(visitor) >= 2, "no epochs")
        visitor.page.locator("#stop").click()
        assert "stopped" in result(visitor)
        written = model.written
        time.sleep(0.5)
        assert model.written == written
        model.script = concluding(2)
        ask(visitor, "think briefly")
        assert "answered" in result(visitor, 2)
        visitor.page.get_by_label("Clear").click()
        _until(lambda: visitor.page.locator(".it-result, .it-meter").count() == 0, "it isn't cleared")
        ask(visitor, "think anew")
        assert "answered" in result(visitor)


def test_a_closed_page_ends_its_run(chromium: Browser) -> None:
    model = SlowThinker(script=concluding(10_000), delay=0.1)
    with served(model, max_epochs=20_000) as address:
        with opened(chromium, address) as visitor:
            ask(visitor, "think forever")
            _until(lambda: epochs(visitor) >= 2, "no epochs")

        def still() -> bool:
            written = model.written
            time.sleep(0.5)
            return model.written == written

        _until(still, "it goes on for nobody")


def test_several_sessions_think_at_once(chromium: Browser) -> None:
    both = threading.Event()
    asked: set[str] = set()

    def script(question: str, count: int) -> str:
        asked.add(question)
        if len(asked) == 2:
            both.set()
        # Nobody concludes before both have begun.
        return concluding(1, question)(question, 1) if both.is_set() else concluding(10_000)(question, count)

    with (
        served(SlowThinker(script=script, delay=0.01), max_epochs=20_000) as address,
        opened(chromium, address) as one,
        opened(chromium, address) as two,
    ):
        ask(one, "111")
        _until(lambda: epochs(one) >= 1, "no epochs")
        ask(two, "222")
        assert "111" in result(one)
        assert "222" in result(two)
        assert "222" not in one.page.locator("#talk").inner_text()
