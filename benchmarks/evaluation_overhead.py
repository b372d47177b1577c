"""What the evaluation harness costs: wall-clock time against a plain loop of requests to the same server.

The plain loop is what one would write by hand with ``openai.AsyncOpenAI``: render, ask, parse, next epoch, compare the
boxed answer as a string; a semaphore bounds the questions under way. The harness does the same requests through the
graph, scores by ``inftythink_graph.answers``, and keeps every trial on disk. Both run at temperature 0 on the same
questions in alternation, each in every round; their answers must be the same. Ratios are of one round's two times.

Run as: ``python benchmarks/evaluation_overhead.py`` (starts vLLM with the bundled model; ``--base-url`` and ``--model``
for a server that runs; ``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import openai
from served import EpochLimit, add_server, epoch_limit, plain_epoch, served

from inftythink_graph import ChatVLLM
from inftythink_graph.answers import extract_answer
from inftythink_graph.evaluation.harness import aevaluate
from inftythink_graph.evaluation.methods import InftyThink
from inftythink_graph.evaluation.tasks import Task, load_task

__all__ = ["main"]

MAX_EPOCHS = 200


async def _plain_answer(client: openai.AsyncOpenAI, model: str, question: str, limit: EpochLimit) -> str | None:
    summary: str | None = None
    for _ in range(MAX_EPOCHS):
        parsed = await plain_epoch(client, model, question, summary, limit)
        if parsed.kind == "conclusion":
            return extract_answer(parsed.conclusion)
        if parsed.kind != "summary":
            return None  # a plain loop gives up where the graph would have the segment summarized
        summary = parsed.summary
    return None


async def plain_loop(
    url: str, model: str, tasks: Sequence[Task], limit: EpochLimit, concurrency: int
) -> dict[str, str | None]:
    """The answers of a loop written by hand, by question."""
    gate = asyncio.Semaphore(concurrency)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", timeout=600) as client:

        async def one(question: str) -> str | None:
            async with gate:
                return await _plain_answer(client, model, question, limit)

        questions = [question for task in tasks for question in task.questions]
        answers = await asyncio.gather(*(one(question.text) for question in questions))
    return {question.id: answer for question, answer in zip(questions, answers, strict=True)}


async def harness(url: str, model: str, tasks: Sequence[Task], concurrency: int, folder: Path) -> dict[str, str | None]:
    """The answers of the harness, by question."""
    method = InftyThink(
        ChatVLLM(base_url=url, model=model), max_epochs=MAX_EPOCHS, temperature=0.0, on_exhausted="return"
    )
    answers: dict[str, str | None] = {}
    for task in tasks:
        run = await aevaluate(task, method, folder / task.name.split(":")[0], samples=1, concurrency=concurrency)
        answers |= {trial["question"]: trial["answer"] for trial in run.trials}
    return answers


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_server(parser)
    parser.add_argument("--count", type=int, default=64, help="problems of each family (default: %(default)s)")
    parser.add_argument("--families", nargs="+", default=["gcd"], help="default: gcd")
    parser.add_argument("--steps", default="min_steps=20,max_steps=60", help="depth (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s; the first is not counted")
    args = parser.parse_args(argv)
    limit = epoch_limit(args.model)
    tasks = [load_task(f"{family}:{args.steps},count={args.count}") for family in args.families]
    ratios, differing, times = [], 0, []
    with served(args.base_url, args.model) as (url, model), tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            seconds: dict[str, float] = {}
            answers: dict[str, dict[str, str | None]] = {}
            # Which goes first alternates: whatever drifts in the machine then hits both alike.
            for name in ("plain", "harness") if number % 2 else ("harness", "plain"):
                start = time.perf_counter()
                if name == "plain":
                    answers[name] = asyncio.run(plain_loop(url, model, tasks, limit, args.concurrency))
                else:
                    run = harness(url, model, tasks, args.concurrency, Path(folder) / str(number))
                    answers[name] = asyncio.run(run)
                seconds[name] = time.perf_counter() - start
            differing += sum(answers["plain"][name] != answer for name, answer in answers["harness"].items())
            times.append(seconds)
            print(f"round {number}: {seconds}, ratio {seconds['harness'] / seconds['plain']:.3f}", flush=True)
            if number:
                ratios.append(seconds["harness"] / seconds["plain"])
    figures = {
        "questions": sum(len(task.questions) for task in tasks),
        "rounds": times,
        "ratio": statistics.median(ratios),
        "differing_answers": differing,
    }
    print(f"harness / plain loop: {figures['ratio']:.3f} (median of {len(ratios)}); differing answers: {differing}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
