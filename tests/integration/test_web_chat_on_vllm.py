"""The web chat's runs against a real server: they are watched token by token, and Stop reaches the server."""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

from inftythink_graph import ChatVLLM
from inftythink_graph.serve import RunningServer

sys.path.append(str(Path(__file__).parents[2] / "examples"))
from web_chat import Chat

SHORT = [{"role": "user", "content": "What is the greatest common divisor of 84 and 36?"}]
LONG = [{"role": "user", "content": "Multiply 89 by 122 by repeated addition."}]


def running(server: RunningServer) -> float:
    """Requests that the server works on."""
    with urllib.request.urlopen(f"{server.base_url.removesuffix('/v1')}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running"))


async def test_a_run_on_a_server_is_watched(vllm_server: RunningServer) -> None:
    chat = Chat(ChatVLLM(base_url=vllm_server.base_url), follow_up=True, max_epochs=50)
    assert chat.window == 256
    lengths = [sum(len(epoch.segment) for epoch in run.epochs) async for run in chat.pictures("session", SHORT)]
    assert lengths == sorted(lengths)
    run = [run async for run in chat.pictures("session", SHORT)][-1]
    assert (run.status, run.answer) == ("answered", "12")
    assert run.usage["peak_context"] <= 256


async def test_stop_ends_the_request_at_the_server(vllm_server: RunningServer) -> None:
    chat = Chat(ChatVLLM(base_url=vllm_server.base_url), follow_up=True, max_epochs=50)
    status = ""
    async for run in chat.pictures("session", LONG):
        status = run.status
        if len(run.epochs) >= 2:
            chat.stop(SimpleNamespace(session_hash="session"))  # type: ignore[arg-type]
    assert status == "stopped"
    for _ in range(100):
        if await asyncio.to_thread(running, vllm_server) == 0:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the server still works on it")
