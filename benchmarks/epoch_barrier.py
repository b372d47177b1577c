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

import openai
from served import EpochLimit, add_questions, add_server, epoch_limit, plain_epoch, questions_of, served

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

    def __init__(self, client: openai.AsyncOpenAI, model: str, limit: EpochLimit, concurrency: int) -> None:
        self._client, self._model, self._limit = client, model, limit
        self._gate = asyncio.Semaphore(concurrency)

    async def epoch(self, trajectory: Trajectory) -> None:
        """One epoch of a trajectory."""
        async with self._gate:
            parsed = await plain_epoch(self._client, self._model, trajectory.question, trajectory.summary, self._limit)
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


async def measure(
    url: str, model: str, questions: Sequence[str], limit: EpochLimit, concurrency: int, rounds: int
) -> dict:
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
    add_server(parser)
    add_questions(parser, count=64, steps=[2, 100])
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s; the first is not counted")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {args.rounds}: the first is not counted")
    questions = questions_of(args)
    with served(args.base_url, args.model) as (url, model):
        figures = asyncio.run(measure(url, model, questions, epoch_limit(), args.concurrency, args.rounds))
    shape = figures["epochs"]
    print(
        f"{len(questions)} questions, {args.concurrency} at a time, {shape['mean']:.1f} epochs on average and"
        f" {shape['most']} at most: in batches {figures['ratio']:.2f} times as long as without a barrier"
    )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
