"""Real servers, started once and only if a test asks for them: vLLM on the CPU (one at a time), PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from postgres import Postgres, running_postgres
from reciting_model import reciting_checkpoint
from rehearsed_model import rehearsed_checkpoint

from inftythink_graph.models import bundled_path
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.serve import RunningServer, running_server

SERVED_NAME = "inftythink-bundled"
STARTUP_SECONDS = 900.0


class _Servers:
    """Keeps the server that was asked for last: two of them would starve each other on two cores."""

    def __init__(self, model: str, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._stack = ExitStack()
        self._kind: str | None = None
        self._running: RunningServer | None = None

    def get(
        self, kind: str, *, model: str | None = None, reasoning_parser: str | None = None, extra: Sequence[str] = ()
    ) -> RunningServer:
        if self._running is None or self._kind != kind:
            self.close()
            self._running = self._stack.enter_context(
                running_server(
                    model or self._model,
                    name=None if model else SERVED_NAME,
                    device="cpu",
                    reasoning_parser=reasoning_parser,
                    extra=extra,
                    log=self._folder / f"{kind}.log",
                    startup_timeout=STARTUP_SECONDS,
                )
            )
            self._kind = kind
        return self._running

    def close(self) -> None:
        self._running = None
        self._stack.close()


@pytest.fixture(scope="session")
def test_model() -> str:
    """The folder of the model under test: the bundled one, or that in INFTYTHINK_TEST_MODEL."""
    return os.environ.get("INFTYTHINK_TEST_MODEL") or str(bundled_path())


@pytest.fixture(scope="session")
def _servers(test_model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Servers]:
    servers = _Servers(test_model, tmp_path_factory.mktemp("vllm"))
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture
def vllm_server(_servers: _Servers) -> RunningServer:
    """A server as ``inftythink serve`` starts it: raw text, think tags and all. Shared by the whole session."""
    return _servers.get("plain")


@pytest.fixture
def vllm_reasoning_server(_servers: _Servers) -> RunningServer:
    """A server that delivers reasoning in a field of its own. Tests that use it come last."""
    return _servers.get("reasoning", reasoning_parser="deepseek_r1")


@pytest.fixture
def reciting_server(_servers: _Servers, tmp_path_factory: pytest.TempPathFactory) -> RunningServer:
    """A server of a model that says one sentence and stops: a summarizer."""
    folder = tmp_path_factory.getbasetemp() / "reciting"
    if not folder.is_dir():
        reciting_checkpoint(folder)
    return _servers.get("reciting", model=str(folder))


@pytest.fixture
def rehearsed_server(_servers: _Servers, tmp_path_factory: pytest.TempPathFactory) -> RunningServer:
    """A server that parses tool calls, under two names, with a model that knows the questions of LangChain's suites."""
    folder = tmp_path_factory.getbasetemp() / "rehearsed"
    if not folder.is_dir():
        rehearsed_checkpoint(folder)
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--tool-strict-level", "parameter"]
    names = ["--served-model-name", folder.name, f"{folder.name}-too"]
    return _servers.get("rehearsed", model=str(folder), extra=[*tools, *names])


@pytest.fixture
def chat_vllm(vllm_server: RunningServer) -> ChatVLLM:
    """A greedy model on the plain server."""
    return ChatVLLM(model=vllm_server.model, base_url=vllm_server.base_url, temperature=0, max_tokens=32)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with data of its own. Shared by the whole session."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def address_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Where a new, empty checkpointer of a kind stores: see the support module ``savers``."""

    def address(kind: str) -> str:
        if kind == "postgres":
            server: Postgres = request.getfixturevalue("postgres")
            return server.new_database()
        return str(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite")

    return address


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests with the same server come together, so that each server is started once."""
    order = ("vllm_server", "reciting_server", "rehearsed_server", "vllm_reasoning_server", "own_port")

    def place(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        return max((number for number, name in enumerate(order) if name in names), default=0)

    items.sort(key=place)
