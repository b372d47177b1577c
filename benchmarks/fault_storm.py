"""Goodput of a run whose server is killed again and again, as a share of the undisturbed run's.

The same questions are thought through twice by ``arun_many``: on a server that stays, and on one whose process group
gets signal 9 each time that it has answered for ``--every`` seconds, and is then started again on the same port.
Goodput is epochs of finished questions a second. What a kill costs beyond the time that the server is away (requests
that were under way, and a client that waits longer than it had to) is told by the goodput over the time that it was up.

Run as: ``python benchmarks/fault_storm.py`` (starts vLLM with the bundled model; ``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from served import add_questions, questions_of

from inftythink_graph import ChatVLLM
from inftythink_graph.models import bundled_path
from inftythink_graph.runner import run_many
from inftythink_graph.serve import free_port, running_server

__all__ = ["main"]


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
        finished: questions with a result.
        epochs: of those.
        requests: that were answered.
        seconds: of the whole run.
        up: seconds of it in which a server answered.
        kills: of the server.
    """

    finished: int
    epochs: int
    requests: int
    seconds: float
    up: float
    kills: int


class Server(threading.Thread):
    """Keeps a server on a port, and kills it whenever it has been there for ``every`` seconds (None: never)."""

    def __init__(self, model: str, port: int, every: float | None) -> None:
        super().__init__(daemon=True)
        self._model, self._port, self._every = model, port, every
        self.over, self.ready = threading.Event(), threading.Event()
        self.kills, self.up = 0, 0.0
        self.start_counting = 0.0

    def run(self) -> None:
        """Serve until it is over."""
        while not self.over.is_set():
            with running_server(self._model, name="bundled", port=self._port, startup_timeout=900) as server:
                self.ready.set()
                since = time.monotonic()
                self.over.wait(self._every)
                self.up += time.monotonic() - max(since, self.start_counting)
                if not self.over.is_set():
                    os.killpg(server.pid, signal.SIGKILL)
                    self.kills += 1


def run_once(model: str, questions: Sequence[str], concurrency: int, every: float | None) -> Outcome:
    """Think the questions through on a server of their own."""
    port = free_port("127.0.0.1")
    server = Server(model, port, every)
    server.start()
    server.ready.wait()
    chat = ChatVLLM(base_url=f"http://127.0.0.1:{port}/v1", timeout=120)
    with tempfile.TemporaryDirectory(prefix="fault-storm-") as folder:
        output = Path(folder) / "out.jsonl"
        server.start_counting = start = time.monotonic()
        options: dict[str, Any] = {"temperature": 0.0, "max_epochs": 150, "on_exhausted": "return"}
        tally = run_many(questions, output, chat, concurrency=concurrency, give_up_after=900.0, **options)
        seconds = time.monotonic() - start
        results = [json.loads(line) for line in output.read_text().splitlines()]
    server.over.set()
    server.join()
    assert sorted(each["index"] for each in results) == list(range(len(questions)))
    return Outcome(
        finished=len(results),
        epochs=sum(each["epochs"] for each in results),
        requests=tally.requests,
        seconds=seconds,
        up=min(server.up, seconds),
        kills=server.kills,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default=str(bundled_path()), help="folder to serve (default: the bundled model)")
    parser.add_argument("--every", type=float, default=30.0, help="seconds that a server lives (default: %(default)s)")
    add_questions(parser, count=200, steps=[60, 150])
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    questions = questions_of(args)
    outcomes = {
        "undisturbed": run_once(args.model, questions, args.concurrency, None),
        "storm": run_once(args.model, questions, args.concurrency, args.every),
    }
    print("| run | questions | epochs | requests | kills | seconds | up | epochs a second | while up |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, each in outcomes.items():
        print(
            f"| {name} | {each.finished} | {each.epochs} | {each.requests} | {each.kills} | {each.seconds:.0f}"
            f" | {each.up:.0f} | {each.epochs / each.seconds:.1f} | {each.epochs / each.up:.1f} |"
        )
    calm, storm = outcomes["undisturbed"], outcomes["storm"]
    share = (storm.epochs / storm.seconds) / (calm.epochs / calm.seconds)
    while_up = (storm.epochs / storm.up) / (calm.epochs / calm.up)
    print(f"goodput: {share:.2f} of the undisturbed run's, {while_up:.2f} over the time that the server was up")
    if args.json:
        figures = {name: asdict(each) for name, each in outcomes.items()}
        args.json.write_text(json.dumps({**figures, "share": share, "share_while_up": while_up}, indent=2) + "\n")


if __name__ == "__main__":
    main()
