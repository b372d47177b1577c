"""Trajectories that go on as soon as they can, against batches in which all wait for the end of each epoch.

Both schedules think the same questions through at temperature 0 with the same client and the same number of requests at
a time; they differ in nothing but when an epoch may begin. In batches, the questions that are left are sent an epoch
together, and the last one of it holds up all others: what a script does that hands all prompts to an engine, then
parses, then hands it the next ones.

Run as: ``python benchmarks/epoch_barrier.py`` (starts vLLM with the bundled model; ``--base-url`` and ``--model`` for a
server that runs; ``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import openai
from served import served

from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph.models import bundled_path
from inftythink_graph.models.base import ModelCard
from inftythink_graph.nodes.reason import TAG_TOKENS
from inftythink_graph.protocol import Protocol, parse

__all__ = ["main"]

MAX_EPOCHS = 150


@dataclass
class Trajectory:
    """A question on its way."""

    question: str
    summary: str | None = None
    epochs: int = 0
    done: bool = False


class Thinker:
    """Sends epochs, so many at a time."""

    def __init__(self, client: openai.AsyncOpenAI, model: str, limit: int, concurrency: int) -> None:
        self._client, self._model, self._limit = client, model, limit
        self._gate = asyncio.Semaphore(concurrency)

    async def epoch(self, trajectory: Trajectory) -> None:
        """One epoch of a trajectory."""
        async with self._gate:
            reply = await self._client.chat.completions.create(
                model=self._model,
                messages=Protocol().render(trajectory.question, trajectory.summary),  # type: ignore[arg-type]
                max_tokens=self._limit,
                temperature=0.0,
            )
        parsed = parse(reply.choices[0].message.content or "", reply.choices[0].finish_reason)
        trajectory.epochs += 1
        trajectory.done = parsed.kind != "summary" or trajectory.epochs >= MAX_EPOCHS
        trajectory.summary = parsed.summary

    async def free(self, trajectories: Sequence[Trajectory]) -> None:
        """Each trajectory on its own."""

        async def whole(trajectory: Trajectory) -> None:
            while not trajectory.done:
                await self.epoch(trajectory)

        await asyncio.gather(*map(whole, trajectories))

    async def batches(self, trajectories: Sequence[Trajectory]) -> None:
        """All that are left, an epoch at a time."""
        while left := [trajectory for trajectory in trajectories if not trajectory.done]:
            await asyncio.gather(*map(self.epoch, left))


async def measure(url: str, model: str, questions: Sequence[str], limit: int, concurrency: int, rounds: int) -> dict:
    """Seconds of both schedules in each round."""
    times: list[dict[str, float]] = []
    epochs: list[int] = []
    async with openai.AsyncOpenAI(base_url=url, api_key="none", timeout=600) as client:
        thinker = Thinker(client, model, limit, concurrency)
        for number in range(rounds):
            seconds = {}
            for name in ("free", "batches") if number % 2 else ("batches", "free"):
                trajectories = [Trajectory(question) for question in questions]
                start = time.perf_counter()
                await getattr(thinker, name)(trajectories)
                seconds[name] = time.perf_counter() - start
                epochs = [trajectory.epochs for trajectory in trajectories]
            times.append(seconds)
            print(f"round {number}: {seconds}", flush=True)
    ratios = [each["batches"] / each["free"] for each in times[1:]]
    return {
        "questions": len(questions),
        "concurrency": concurrency,
        "epochs": {"mean": statistics.mean(epochs), "most": max(epochs)},
        "rounds": times,
        "ratio": statistics.median(ratios),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base-url", help="a server that runs, with a model trained on the bundled model's problems")
    parser.add_argument("--model", help="its name there, or a folder to serve")
    parser.add_argument("--family", choices=sorted(FAMILIES), default="gcd")
    parser.add_argument("--count", type=int, default=64, help="questions (default: %(default)s)")
    parser.add_argument("--steps", type=int, nargs=2, default=[2, 100], help="least and most steps of their chains")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s; the first is not counted")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {args.rounds}: the first is not counted")
    card = ModelCard.read(bundled_path())
    assert card is not None
    limit = card.eta + card.summary_budget + TAG_TOKENS
    least, most = args.steps
    problems = generate(args.family, args.count, seed=1, split="test", min_steps=least, max_steps=most)
    questions = [problem.question for problem in problems]
    with served(args.base_url, args.model) as (url, model):
        figures = asyncio.run(measure(url, model, questions, limit, args.concurrency, args.rounds))
    shape = figures["epochs"]
    print(
        f"{len(questions)} questions, {args.concurrency} at a time, {shape['mean']:.1f} epochs on average and"
        f" {shape['most']} at most: in batches {figures['ratio']:.2f} times as long as without a barrier"
    )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
