"""Peak memory of `inftythink run` against the number of questions: it should depend on the concurrency alone.

The server is a process of its own that answers at once, two epochs a question, so that what is measured is the client.
Each size is a client process of its own, and what is told is the peak of its resident memory (VmHWM), as a ratio to the
smallest size's too.

Run as: ``python benchmarks/runner_memory.py`` (``--sizes 200 2000`` for a quick look; ``--json FILE``). Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

__all__ = ["main"]

_CLIENT = """
import re, sys
from pathlib import Path
from inftythink_graph import ChatVLLM, Protocol
from inftythink_graph.runner import run_many
url, source, output, concurrency = sys.argv[1:]
options = {"protocol": Protocol(), "eta": 400, "summary_budget": 100, "concurrency": int(concurrency)}
tally = run_many(Path(source), Path(output), ChatVLLM(base_url=url, api_key="none"), **options)
assert tally.statuses["answered"] == tally.total, tally
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
_SEGMENT = "A line of reasoning that is about as long as such lines are. " * 20


def _reply(path: str, body: dict[str, object]) -> dict[str, object]:
    if path == "/v1/models":
        return {"data": [{"id": "m", "max_model_len": 8192}]}
    if path == "/tokenize":
        return {"count": 40, "max_model_len": 8192, "tokens": list(range(40))}
    content = f"<think>\n{_SEGMENT}\n</think>\n" + (
        "It is \\boxed{7}." if "<history>" in str(body["messages"]) else "<summary>\nhalf of it\n</summary>"
    )
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 40, "completion_tokens": 300, "total_tokens": 340}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(match[1]) if (match := re.search(r"content-length: (\d+)", head, re.IGNORECASE)) else 0
            body = json.loads(await reader.readexactly(length)) if length else {}
            data = json.dumps(_reply(head.split()[1], body)).encode()
            headers = f"Content-Type: application/json\r\nContent-Length: {len(data)}"
            writer.write(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + data)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _serve(told: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2_000, 20_000], help="numbers of questions")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    rows: list[dict[str, float]] = []
    print("| questions | peak memory (MiB) | ratio | seconds | client ms an epoch |\n|---|---|---|---|---|")
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "in.jsonl"
            with source.open("w") as file:
                for number in range(size):
                    file.write(json.dumps({"id": number, "question": f"What is {number} + 7?"}) + "\n")
            words = [url, str(source), str(Path(folder) / "out.jsonl"), str(args.concurrency)]
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _CLIENT, *words], check=True, stdout=subprocess.PIPE, text=True
            )
            seconds = time.perf_counter() - start
        peak = int(done.stdout) / 1024
        rows.append({"questions": size, "peak_mib": peak, "ratio": 1.0, "seconds": seconds})
        rows[-1]["ratio"] = peak / rows[0]["peak_mib"]
        each = 1000 * seconds / (2 * size)
        print(f"| {size:,} | {peak:.0f} | {rows[-1]['ratio']:.3f} | {seconds:.0f} | {each:.1f} |", flush=True)
    server.terminate()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
