"""Accuracy of the bundled model and of its vanilla twin on held-out long-horizon problems, greedy: the README's table.

Two bands of depth: chains of at least 16 times the bundled model's window (which no chain of the twin can hold), and
chains that fit the twin's window, where the two can be compared as models.

Run as: ``python benchmarks/long_horizon.py`` (``--json FILE`` for the figures, ``--count 20`` for a quick look).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from transformers import AutoTokenizer

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.evaluation import avanilla
from inftythink_graph.models import ModelCard, bundled_path, vanilla_twin_path

__all__ = ["Row", "main"]

WINDOWS = 16
MAX_STEPS = 250


@dataclass(frozen=True)
class Row:
    """One line of the table: a family in a band of depth, answered by one model."""

    band: str
    family: str
    model: str
    problems: int
    correct: int
    chain_tokens: float
    epochs: float
    peak_context: int
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / self.problems


class Problems:
    """Draws held-out problems by the length of their whole chain in tokens."""

    def __init__(self, model: Path, count: int, seed: int) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.count, self.seed = count, seed

    def tokens(self, problem: Problem) -> int:
        """Tokens of the whole chain."""
        return len(self.tokenizer(problem.chain, verbose=False)["input_ids"])

    def draw(self, family: str, shortest: int, longest: int) -> list[Problem]:
        """Problems whose chain has between ``shortest`` and ``longest`` tokens: fewer than asked for, if that is all.

        Few numbers have a short Collatz chain.
        """
        # No step has fewer than 30 or more than 50 tokens: bounds that spare most of the counting.
        bounds = {"min_steps": max(shortest // 50, 1), "max_steps": min(max(longest // 30, 1), MAX_STEPS)}

        def fits(problem: Problem) -> bool:
            return shortest <= self.tokens(problem) <= longest

        drawn: list[Problem] = []
        try:
            for problem in generate(family, self.count, seed=self.seed, split="test", accept=fits, **bounds):
                drawn.append(problem)
        except ValueError:  # it ran out
            if not drawn:
                raise
        return drawn


async def _inftythink(model: EmbeddedChatModel, problems: Sequence[Problem]) -> list[tuple[str | None, int, int]]:
    graph = create_inftythink_graph(model, max_epochs=250, temperature=0.0)
    results = await graph.abatch([{"question": problem.question} for problem in problems])
    return [(r["answer"], r["epochs"], r["usage"]["peak_context"]) for r in results]


async def _vanilla(model: EmbeddedChatModel, problems: Sequence[Problem]) -> list[tuple[str | None, int, int]]:
    results = await asyncio.gather(*(avanilla(model, problem.question) for problem in problems))
    return [(result.answer, 1, result.usage["peak_context"]) for result in results]


def evaluate(folder: Path, band: str, family: str, problems: Sequence[Problem], chain_tokens: float) -> Row:
    """Have one model answer the problems."""
    card = ModelCard.read(folder)
    method = card.method if card else "inftythink"
    model = EmbeddedChatModel(model_path=str(folder), temperature=0.0)
    start = time.perf_counter()
    results = asyncio.run((_vanilla if method == "vanilla" else _inftythink)(model, problems))
    seconds = time.perf_counter() - start
    correct = sum(answer == problem.answer for (answer, _, _), problem in zip(results, problems, strict=True))
    return Row(
        band=band,
        family=family,
        model=method,
        problems=len(problems),
        correct=correct,
        chain_tokens=chain_tokens,
        epochs=mean(epochs for _, epochs, _ in results),
        peak_context=max(peak for _, _, peak in results),
        seconds=seconds,
    )


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| chains | family | model | correct | mean chain (tokens) | mean epochs | peak context (tokens) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.band} | {row.family} | {row.model} | {row.correct} of {row.problems} ({row.accuracy:.1%})"
            f" | {row.chain_tokens:,.0f} | {row.epochs:.1f} | {row.peak_context} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate both models and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=bundled_path(), help="folder of the InftyThink model")
    parser.add_argument("--vanilla", type=Path, default=vanilla_twin_path(), help="folder of the vanilla model")
    parser.add_argument("--count", type=int, default=200, help="problems of each family and band")
    parser.add_argument("--seed", type=int, default=1, help="seed of the problems")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)

    card = ModelCard.read(args.model)
    window = card.context if card else 256
    problems = Problems(args.model, args.count, args.seed)
    bands = [(f"at least {WINDOWS} windows of {window}", WINDOWS * window, 10**9), ("fit the twin's window", 1, 900)]
    rows: list[Row] = []
    for band, shortest, longest in bands:
        for family in args.families:
            drawn = problems.draw(family, shortest, longest)
            chain_tokens = mean(problems.tokens(problem) for problem in drawn)
            for folder in (args.model, args.vanilla):
                if folder.is_dir():
                    rows.append(evaluate(folder, band, family, drawn, chain_tokens))
                    print(rows[-1], flush=True)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
