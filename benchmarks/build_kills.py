"""A build killed with SIGKILL at random moments and started again each time, against one that nobody disturbed.

The summarizer is a scripted server on the loopback device that speaks the protocol of OpenAI and answers each request,
after a delay, with a text that names the request. So every reply in the journal tells which request it belongs to, and
a request that comes again although its reply was kept is seen. The chains are synthetic (datasets_build.synthetic).
Builds run in processes of their own, made by multiprocessing's fork server. Each kill comes at a random moment of a
phase of its run, and all phases get their share: reading and cutting, summarizing, writing rows, writing the report.

Run as: ``python benchmarks/build_kills.py`` (``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from datasets_build.synthetic import generate
from inftythink_graph.journal import read_journal

__all__ = ["Kill", "Outcome", "ScriptedServer", "main"]

MODEL = "scripted"
PREFIX = "Known so far, as number "
PHASES = ("reading", "summarizing", "rows", "report")
WORK = dict(zip(PHASES, ("reading and cutting", "summarizing", "writing rows", "writing the report"), strict=True))
LOOK = 0.004  # seconds between two looks at where a run stands


def _name(body: dict[str, Any]) -> str:
    """Twelve digits that stand for a request."""
    text = json.dumps([body["messages"], body.get("seed"), body.get("temperature")], sort_keys=True)
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:12]


class ScriptedServer(ThreadingHTTPServer):
    """Answers after ``delay`` to twice ``delay`` seconds. ``asked`` has the names of the requests of this session."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.delay = delay
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """The address that ends in /v1."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed hangs up; that is what this is for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._reply(404, {"error": {"message": "nothing here"}})
        self._reply(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 1_000_000}]})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        sent = self.rfile.read(length)
        if len(sent) < length:  # its client was killed while it asked
            self.close_connection = True
            return
        body = json.loads(sent)
        if self.path != "/v1/chat/completions":
            return self._reply(404, {"error": {"message": "nothing here"}})
        name = _name(body)
        self.server.asked.append(name)
        time.sleep(self.server.delay * (1 + int(name) % 100 / 100))
        message = {"role": "assistant", "content": f"{PREFIX}{name}."}
        prompt = sum(len(each["content"]) for each in body["messages"]) // 4
        usage = {"prompt_tokens": prompt, "completion_tokens": 12, "total_tokens": prompt + 12}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": name, "object": "chat.completion", "created": 0, "model": MODEL}
        self._reply(200, {**reply, "choices": [choice], "usage": usage})


@dataclass(frozen=True)
class Kill:
    """One kill: seconds after the start of its run, the phase of the run, and what was kept at that moment."""

    seconds: float
    phase: str
    replies: int
    examples: int


@dataclass
class Outcome:
    """What the benchmark found.

    Attributes:
        kills: each kill.
        builds: builds that were disturbed and then finished.
        runs: their runs, killed and finished ones.
        requests: requests of the undisturbed build.
        asked: requests of the disturbed builds, in all runs.
        repeated: requests that came again although their reply was kept.
        lost: requests whose reply a kill took before it was kept; they are asked again.
        rows, vanilla: training rows of both builds.
        equal: files that are the same, byte for byte.
        different: files that differ.
        seconds: of the undisturbed build.
        lengths: seconds of its phases.
    """

    kills: list[Kill] = field(default_factory=list)
    builds: int = 0
    runs: int = 0
    requests: int = 0
    asked: int = 0
    repeated: int = 0
    lost: int = 0
    rows: int = 0
    vanilla: int = 0
    equal: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lengths: dict[str, float] = field(default_factory=dict)


def _build(source: str, output: str, url: str, concurrency: int) -> None:
    """A build in a process of its own; the exit code is the command's."""
    from datasets_build.pipeline.cli import main as build_data
    from inftythink_graph.models import bundled_path

    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        words = [source, "--tokenizer", str(bundled_path()), "--output", output, "--base-url", url, "--eta", "128"]
        words += ["--summary-budget", "64", "--max-length", "1000", "--concurrency", str(concurrency)]
        sys.exit(build_data(words))


def write_source(path: Path, chains: int, seed: int) -> Path:
    """Synthetic chains in the row format of OpenR1-Math."""
    with path.open("w") as file:
        for number, item in enumerate(generate("collatz", chains, seed=seed, min_steps=20, max_steps=120)):
            text = f"<think>\n{item.chain}\n</think>\n\n{item.conclusion}"
            file.write(json.dumps({"uuid": str(number), "problem": item.question, "generations": [text]}) + "\n")
    return path


def kept_replies(output: Path) -> set[str]:
    """The names of the requests whose replies are in the journal."""
    path = output / "journal" / "requests.jsonl"
    if not path.exists():
        return set()
    return {reply["text"].removeprefix(PREFIX).rstrip(".") for _, reply in read_journal(path)}


def finished_examples(output: Path) -> int:
    """How many examples are in the journal."""
    path = output / "journal" / "examples.jsonl"
    return len({key for key, _ in read_journal(path)}) if path.exists() else 0


class _Watch:
    """Tells from outside which phase a run is in; made before the run starts."""

    def __init__(self, output: Path, server: ScriptedServer) -> None:
        self._output, self._server = output, server
        self._before = self._folders()

    def _folders(self) -> list[tuple[int, int] | None]:
        """The folders of rows, half written and whole, as one would notice that they were made anew."""
        found: list[tuple[int, int] | None] = []
        for name in (".data.partial", "data"):
            try:
                stat = (self._output / name).stat()
                found.append((stat.st_ino, stat.st_ctime_ns))
            except FileNotFoundError:
                found.append(None)
        return found

    def phase(self) -> str:
        """One of :data:`PHASES`, or ``done``."""
        (half, whole), (half_before, whole_before) = self._folders(), self._before
        if whole is not None and whole != whole_before:
            return "done" if (self._output / "funnel.json").exists() else "report"
        if half is not None and half != half_before:
            return "rows"
        return "summarizing" if self._server.asked else "reading"


def next_target(hits: Counter[str], kills: int, drawn: random.Random) -> str:
    """The phase that the next kill is for: the first two before the others, which need all summaries."""
    share = -(-kills // len(PHASES))
    early, late = ([phase for phase in part if hits[phase] < share] for part in (PHASES[:2], PHASES[2:]))
    return drawn.choice(early or late or list(PHASES[2:]))


def compare(left: Path, right: Path) -> tuple[list[str], list[str]]:
    """The files that are the same in both folders, and those that aren't: rows, funnel, failures, report."""
    names = {str(path.relative_to(folder)) for folder in (left, right) for path in folder.glob("*/*.parquet")}
    names |= {"funnel.json", "failed.jsonl", "report.json"}
    same = {
        name: (left / name).exists()
        and (right / name).exists()
        and (left / name).read_bytes() == (right / name).read_bytes()
        for name in sorted(names)
    }
    return [name for name, equal in same.items() if equal], [name for name, equal in same.items() if not equal]


def measure(folder: Path, *, kills: int, chains: int, delay: float, concurrency: int, seed: int) -> Outcome:
    """Build once undisturbed, and with kills until there were enough of them, and compare."""
    import pyarrow.parquet as pq

    outcome, drawn = Outcome(), random.Random(seed)
    source = write_source(folder / "rows.jsonl", chains, seed)
    server = ScriptedServer(delay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datasets_build.pipeline.build", "inftythink_graph.models.vllm", "transformers"])

    def run(output: Path, phase: str = "", after: float = 0.0) -> tuple[int | None, dict[str, float], str]:
        """(exit code, or None for a run that was killed; seconds from its start to each phase; the last phase).

        Killed ``after`` seconds into ``phase``, if it gets there.
        """
        server.asked = []
        watch, reached = _Watch(output, server), dict[str, float]()
        child = context.Process(target=_build, args=(str(source), str(output), server.url, concurrency))
        begin = time.monotonic()
        child.start()
        while child.exitcode is None:
            now, seconds = watch.phase(), time.monotonic() - begin
            reached.setdefault(now, seconds)
            if phase in reached and seconds >= reached[phase] + after:
                os.kill(child.pid or 0, signal.SIGKILL)
                child.join()
                return None, {**reached, "end": seconds}, now
            child.join(LOOK)
        return child.exitcode, {**reached, "end": time.monotonic() - begin}, "done"

    run(folder / "warm")  # the fork server's imports
    code, reached, _ = run(folder / "undisturbed")
    if code != 0:
        raise SystemExit(f"the undisturbed build ended with exit code {code}")
    outcome.seconds, outcome.requests = reached["end"], len(server.asked)
    stops = [reached[phase] for phase in PHASES[1:]] + [reached.get("done", outcome.seconds)]
    outcome.lengths = {phase: stop - reached[phase] for phase, stop in zip(PHASES, stops, strict=True)}
    print(f"undisturbed: {outcome.requests} requests, {outcome.seconds:.1f} s, {outcome.lengths}", flush=True)
    # So that the summaries last for their share of the kills.
    within = {**outcome.lengths, "summarizing": outcome.lengths["summarizing"] * 1.5 * len(PHASES) / kills}

    hits = Counter[str]()
    while len(outcome.kills) < kills:  # a build that gets through in between is followed by another one
        outcome.builds += 1
        disturbed, sent = folder / f"disturbed-{outcome.builds}", Counter[str]()
        code = None
        while code is None:
            before = kept_replies(disturbed)
            target = next_target(hits, kills, drawn)
            if len(outcome.kills) == kills or (target == "summarizing" and finished_examples(disturbed) == chains):
                target = ""
            code, reached, phase = run(disturbed, target, drawn.uniform(0, within.get(target, 0)))
            outcome.runs += 1
            outcome.asked += len(server.asked)
            outcome.repeated += len(before & set(server.asked))
            sent.update(server.asked)
            if code is None:
                hits[phase] += 1
                kept = len(kept_replies(disturbed)), finished_examples(disturbed)
                outcome.kills.append(Kill(round(reached["end"], 2), phase, *kept))
                print(f"kill {len(outcome.kills)}: {outcome.kills[-1]}", flush=True)
            elif code != 0:
                raise SystemExit(f"a disturbed build ended with exit code {code}")
        outcome.lost += sum(count - 1 for count in sent.values())
        equal, different = compare(folder / "undisturbed", disturbed)
        outcome.equal += [f"{disturbed.name}/{name}" for name in equal]
        outcome.different += [f"{disturbed.name}/{name}" for name in different]
    outcome.lost -= outcome.repeated
    outcome.rows, outcome.vanilla = (
        pq.read_table(folder / "undisturbed" / name).num_rows for name in ("data", "vanilla")
    )
    server.shutdown()
    return outcome


def table(outcome: Outcome) -> str:
    """The outcome as Markdown."""
    phases = Counter(kill.phase for kill in outcome.kills)
    rows = [
        ("kills", len(outcome.kills)),
        *((f"of them while {what}", phases[phase]) for phase, what in WORK.items()),
        ("builds that were disturbed, and their runs", f"{outcome.builds}, {outcome.runs}"),
        ("requests, undisturbed", outcome.requests),
        ("requests, disturbed", outcome.asked),
        ("of them repeated although their reply was kept", outcome.repeated),
        ("of them asked again because the kill took the reply", outcome.lost),
        ("training rows", f"{outcome.rows} and {outcome.vanilla} vanilla"),
        ("files equal", len(outcome.equal)),
        ("files different", f"{len(outcome.different)} {', '.join(outcome.different)}".strip()),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; exit code 1 where the builds differ or a finished request was repeated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20, help="number of kills (default: %(default)s)")
    parser.add_argument("--chains", type=int, default=24, help="chains to build from (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=0.2, help="seconds of the fastest reply (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=4, help="examples at a time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of chains and moments (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    settings = {name: value for name, value in vars(args).items() if name != "json"}
    with tempfile.TemporaryDirectory(prefix="build-kills-") as folder:
        outcome = measure(Path(folder), **settings)
    print(table(outcome))
    if args.json:
        args.json.write_text(json.dumps({**settings, **asdict(outcome)}, indent=2) + "\n")
    return int(bool(outcome.repeated or outcome.different))


if __name__ == "__main__":
    sys.exit(main())
