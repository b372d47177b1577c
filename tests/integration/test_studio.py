"""``langgraph dev`` on ``langgraph.json``: the server behind LangGraph Studio, asked over HTTP as Studio asks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from inftythink_graph import InftyThinkContext, InftyThinkInput, InftyThinkOutput
from inftythink_graph._serve_process import free_port
from inftythink_graph.serve import RunningServer

ROOT = Path(__file__).parents[2]
QUESTION = {"question": "Multiply 12 by 5 by repeated addition."}
STARTUP_SECONDS = 180.0


@pytest.fixture
def studio(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SyncLangGraphClient]:
    """A client of ``langgraph dev``; a parameter is the address of a model's server."""
    # The server keeps its files where it starts, so it starts in a folder like a clone.
    for name in ("langgraph.json", "examples", "inftythink_graph", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    port = free_port("127.0.0.1")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INFTYTHINK_")}
    environment |= {"PYTHONPATH": str(ROOT), "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    if param := getattr(request, "param", None):
        server: RunningServer = request.getfixturevalue(param)
        environment["INFTYTHINK_BASE_URL"] = server.base_url
    log = tmp_path / "dev.log"
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + STARTUP_SECONDS
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield get_sync_client(url=url)
        written = log.read_text()
        assert "Failed to get" not in written  # a schema
        assert "Blocking call" not in written  # something held up the event loop
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok", timeout=5).is_success
    except httpx.TransportError:
        return False


def test_studio_shows_the_graph_and_runs_it(studio: SyncLangGraphClient) -> None:
    (assistant,) = studio.assistants.search()
    assert assistant["graph_id"] == "inftythink"

    schemas = studio.assistants.get_schemas(assistant["assistant_id"])
    assert set((schemas["input_schema"] or {})["properties"]) == set(InftyThinkInput.__annotations__)
    assert set((schemas["output_schema"] or {})["properties"]) == set(InftyThinkOutput.__annotations__)
    settings = (schemas["context_schema"] or {})["properties"]
    assert set(settings) == {item.name for item in fields(InftyThinkContext)}
    assert all(field["description"] for field in settings.values())
    drawn = studio.assistants.get_graph(assistant["assistant_id"])
    assert {"reason", "check_answer", "summarize"} <= {node["id"] for node in drawn["nodes"]}

    # Step by step on a thread, as Studio shows it, with settings of one run.
    thread = studio.threads.create()["thread_id"]
    context = {"temperature": 0, "max_epochs": 20}
    parts = list(studio.runs.stream(thread, "inftythink", input=QUESTION, context=context, stream_mode="updates"))
    nodes = [next(iter(part.data)) for part in parts if part.event == "updates"]
    values = studio.threads.get_state(thread)["values"]
    assert isinstance(values, dict)
    assert (values["answer"], values["status"]) == ("60", "answered")
    assert nodes == ["reason", "check_answer", *["summarize", "reason", "check_answer"] * (values["epochs"] - 1)]

    # A second question on the same thread begins anew, and a setting that can't be is refused by name.
    short = {"max_epochs": 1, "eta": 8, "on_exhausted": "return"}
    again = studio.runs.wait(thread, "inftythink", input=QUESTION, context=short)
    assert isinstance(again, dict)
    assert (again["answer"], again["status"], again["epochs"]) == (None, "exhausted", 1)
    refused = studio.runs.wait(None, "inftythink", input=QUESTION, context={"eta": 0}, raise_error=False)
    assert "eta must be at least 1" in str(refused)


@pytest.mark.parametrize("studio", ["vllm_server"], indirect=True)
def test_studio_on_a_server(studio: SyncLangGraphClient, vllm_server: RunningServer) -> None:
    before = _requests(vllm_server)
    result = studio.runs.wait(None, "inftythink", input=QUESTION, context={"temperature": 0})
    assert isinstance(result, dict)
    assert (result["answer"], result["status"]) == ("60", "answered")
    assert _requests(vllm_server) - before == result["usage"]["requests"]


def _requests(server: RunningServer) -> int:
    text = httpx.get(f"{server.base_url.removesuffix('/v1')}/metrics", timeout=30).text
    counts = (line for line in text.splitlines() if line.startswith("vllm:request_success_total"))
    return round(sum(float(line.rpartition(" ")[2]) for line in counts))
