"""What the client costs: the graph and the runner against loops written by hand, on the same server and questions.

Four clients think the same questions through at temperature 0, ``--concurrency`` at a time, with the same requests:

- ``bare``: ``openai.AsyncOpenAI`` in a loop: render, ask, parse, next epoch. It counts nothing, keeps nothing and gives
  up where a completion is neither a summary nor a conclusion.
- ``plain graph``: the same in a LangGraph graph of three nodes over LangChain's ``ChatOpenAI``.
- ``graph``: ``create_inftythink_graph`` over ``ChatVLLM``.
- ``runner``: ``arun_many``, which also writes every reply and every result to disk.

Told are, for each, the epochs a second, the CPU time of the client process for an epoch, and both as ratios to the bare
loop of the same round. The order moves on with the rounds; the first one warms up and is not counted.

Run as: ``python benchmarks/client_overhead.py`` (starts vLLM with the bundled model; ``--base-url`` and ``--model`` for
a server that runs; ``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import openai
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from served import EpochLimit, add_questions, add_server, epoch_limit, plain_epoch, questions_of, served

from inftythink_graph import ChatVLLM, create_inftythink_graph
from inftythink_graph.protocol import Protocol, parse
from inftythink_graph.runner import arun_many

__all__ = ["main"]

MAX_EPOCHS = 100
Client = Callable[["Setting"], Awaitable[int]]


@dataclass(frozen=True)
class Setting:
    """What all clients are given."""

    url: str
    model: str
    questions: Sequence[str]
    limit: EpochLimit
    concurrency: int


@dataclass(frozen=True)
class Measured:
    """One client in one round."""

    client: str
    epochs: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.epochs / self.seconds

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_seconds / self.epochs


async def _each(setting: Setting, one: Callable[[str], Awaitable[int]]) -> int:
    gate = asyncio.Semaphore(setting.concurrency)

    async def gated(question: str) -> int:
        async with gate:
            return await one(question)

    return sum(await asyncio.gather(*(gated(question) for question in setting.questions)))


async def bare(setting: Setting) -> int:
    """Epochs of the loop over the OpenAI client."""
    async with openai.AsyncOpenAI(base_url=setting.url, api_key="none", timeout=600) as client:

        async def one(question: str) -> int:
            summary: str | None = None
            for epoch in range(1, MAX_EPOCHS + 1):
                parsed = await plain_epoch(client, setting.model, question, summary, setting.limit)
                if parsed.kind != "summary":
                    return epoch
                summary = parsed.summary
            return MAX_EPOCHS

        return await _each(setting, one)


class _PlainState(TypedDict, total=False):
    question: str
    summary: str
    text: str
    finish: str
    epochs: int
    done: bool


def _plain_graph(setting: Setting) -> Any:
    protocol = Protocol()
    model = ChatOpenAI(
        base_url=setting.url,
        api_key="none",  # type: ignore[arg-type]  # a plain text will do
        model=setting.model,
        temperature=0.0,
        max_tokens=setting.limit.tokens,  # type: ignore[call-arg]  # an alias
        extra_body=setting.limit.extra_body,
        timeout=600,
    )

    async def reason(state: _PlainState) -> _PlainState:
        message = await model.ainvoke(protocol.render(state["question"], state.get("summary")))
        finish = str(message.response_metadata["finish_reason"])
        return {"text": str(message.content), "finish": finish, "epochs": state.get("epochs", 0) + 1}

    async def check(state: _PlainState) -> _PlainState:
        return {"done": parse(state["text"], state["finish"]).kind != "summary" or state["epochs"] >= MAX_EPOCHS}

    async def summarize(state: _PlainState) -> _PlainState:
        return {"summary": parse(state["text"], state["finish"]).summary}

    builder = StateGraph(_PlainState)
    for name, node in (("reason", reason), ("check", check), ("summarize", summarize)):
        builder.add_node(name, node)
    builder.add_edge(START, "reason")
    builder.add_edge("reason", "check")
    builder.add_conditional_edges("check", lambda state: END if state["done"] else "summarize", ["summarize", END])
    builder.add_edge("summarize", "reason")
    return builder.compile()


async def plain_graph(setting: Setting) -> int:
    """Epochs of the graph of three nodes."""
    graph = _plain_graph(setting)

    async def one(question: str) -> int:
        state = await graph.ainvoke({"question": question}, {"recursion_limit": 4 * MAX_EPOCHS})
        return int(state["epochs"])

    return await _each(setting, one)


_OPTIONS: dict[str, Any] = {"max_epochs": MAX_EPOCHS, "temperature": 0.0, "on_exhausted": "return"}


async def graph(setting: Setting) -> int:
    """Epochs of ours."""
    reasoner = create_inftythink_graph(ChatVLLM(base_url=setting.url, model=setting.model, timeout=600), **_OPTIONS)

    async def one(question: str) -> int:
        return int((await reasoner.ainvoke({"question": question}))["epochs"])

    return await _each(setting, one)


async def runner(setting: Setting) -> int:
    """Epochs of the runner, files and all."""
    model = ChatVLLM(base_url=setting.url, model=setting.model, timeout=600)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.jsonl"
        await arun_many(setting.questions, output, model, concurrency=setting.concurrency, **_OPTIONS)
        return sum(json.loads(line)["epochs"] for line in output.read_text().splitlines())


CLIENTS: dict[str, Client] = {"bare": bare, "plain graph": plain_graph, "graph": graph, "runner": runner}


async def measure(name: str, setting: Setting) -> Measured:
    """Run one client."""
    start, cpu = time.perf_counter(), time.process_time()
    epochs = await CLIENTS[name](setting)
    return Measured(name, epochs, time.perf_counter() - start, time.process_time() - cpu)


async def measure_all(names: list[str], rounds: int, setting: Setting) -> list[list[Measured]]:
    """Run the clients as often as that, in an order that moves on."""
    measured: list[list[Measured]] = []
    for number in range(rounds):
        turn = number % len(names)
        measured.append([])
        for name in names[turn:] + names[:turn]:
            measured[-1].append(await measure(name, setting))
            print(f"round {number}: {measured[-1][-1]}", flush=True)
    return measured


def table(rounds: Sequence[Sequence[Measured]]) -> str:
    """Medians over the rounds, as Markdown."""
    lines = [
        "| client | epochs a second | of the bare loop | client CPU an epoch (ms) | of the bare loop |",
        "|---|---|---|---|---|",
    ]
    by_client = [{measured.client: measured for measured in row} for row in rounds]
    for name in (name for name in CLIENTS if name in by_client[0]):
        pairs = [(row[name], row["bare"]) for row in by_client]
        rate, cpu = (
            statistics.median(get(mine) for mine, _ in pairs) for get in (lambda m: m.rate, lambda m: m.cpu_ms)
        )
        rates = statistics.median(mine.rate / base.rate for mine, base in pairs)
        cpus = statistics.median(mine.cpu_ms / base.cpu_ms for mine, base in pairs)
        lines.append(f"| {name} | {rate:.1f} | {rates:.3f} | {cpu:.2f} | {cpus:.2f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_server(parser)
    add_questions(parser, count=64, steps=[10, 40])
    parser.add_argument("--concurrency", type=int, default=64)
    told = "besides the bare loop (default: all)"
    parser.add_argument("--clients", nargs="+", choices=list(CLIENTS), default=list(CLIENTS), help=told)
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s; the first is not counted")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {args.rounds}: the first is not counted")
    questions = questions_of(args)
    clients = [name for name in CLIENTS if name == "bare" or name in args.clients]
    with served(args.base_url, args.model) as (url, model):
        setting = Setting(url, model, questions, epoch_limit(), args.concurrency)
        # One event loop for all: LangChain keeps its connections from one model to the next.
        rounds = asyncio.run(measure_all(clients, args.rounds, setting))
    print(table(rounds[1:]))
    if args.json:
        args.json.write_text(json.dumps([[asdict(each) for each in row] for row in rounds], indent=2) + "\n")


if __name__ == "__main__":
    main()
