"""Accuracy and cost of the bundled model against the number of parallel paths, on held-out long-horizon problems.

Every number of paths is a run of ``create_inftythink_graph(..., num_paths=n)`` with early stopping, joined by the
majority. What stopping saves is told by the same paths run to their ends one by one: path k has the same seeds there,
so it is the same path. From these whole paths it is also reckoned what stopping saves where they run one after another
(``max_concurrency=1``): most when all agree, as then nearly half of them are never begun. ``oracle`` is the share of
problems that at least one of these whole paths gets right: as far as a perfect verifier could get. Errors are standard
errors over problems.

Run as: ``python benchmarks/parallel_paths.py --json docs/parallel_paths.json --plot docs/parallel_paths.png``
(``--count 10 --paths 1 3 5`` for a quick look). ``--setting 1.2:40:80`` measures at temperature 1.2 on chains of 40 to
80 steps, and may be given several times. The bundled model is seldom wrong at temperature 0.7: the second of the
default settings is hotter than anyone would ask it, so that there is something to outvote.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph import EmbeddedChatModel, InftyThinkContext, create_inftythink_graph
from inftythink_graph.models import bundled_path
from inftythink_graph.path_state import SEED_STRIDE
from inftythink_graph.voting import Vote, grouped, is_decided

__all__ = ["Row", "Setting", "main"]

SEEDS_APART = 1000  # between two problems; more than the epochs of a path


@dataclass(frozen=True)
class Setting:
    """A temperature, and how many steps the chains have."""

    temperature: float
    min_steps: int
    max_steps: int

    @classmethod
    def parse(cls, text: str) -> Setting:
        """Of ``temperature:min_steps:max_steps``."""
        temperature, low, high = text.split(":")
        return cls(float(temperature), int(low), int(high))

    def __str__(self) -> str:
        return f"temperature {self.temperature:g}, {self.min_steps} to {self.max_steps} steps"


@dataclass(frozen=True)
class Row:
    """One family with one number of paths. Costs are means over problems, each with its standard error."""

    setting: str
    family: str
    paths: int
    problems: int
    correct: int
    accuracy: float
    accuracy_error: float
    oracle: float
    tokens: float
    tokens_error: float
    squared_tokens: float
    squared_tokens_error: float
    epochs: float
    epochs_error: float
    whole_tokens: float
    saved: float
    saved_error: float
    saved_in_turn: float
    saved_in_turn_error: float
    stopped: float
    seconds: float


@dataclass(frozen=True)
class Whole:
    """One path that was run to its end."""

    vote: str | None
    answer: str | None
    tokens: int

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Whole:
        """Of a result, or of a path's record."""
        vote = result["answer"] if result["status"] == "answered" else None
        return cls(vote, result["answer"], result["usage"]["completion_tokens"])


def in_turn(paths: Sequence[Whole]) -> float:
    """Tokens of the paths that it takes to decide the vote, one after another."""
    votes: list[Vote] = []
    for number, path in enumerate(paths, 1):
        votes += [] if path.vote is None else [Vote(number, path.vote, 0)]
        if is_decided([group.size for group in grouped(votes)], len(paths) - number):
            return float(sum(each.tokens for each in paths[:number]))
    return float(sum(each.tokens for each in paths))


def spread(values: Sequence[float]) -> float:
    """Standard error of a mean."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def share_saved(spent: Sequence[float], whole: Sequence[float]) -> tuple[float, float]:
    """The share of tokens that stopping saves over all problems, with the standard error of this ratio."""
    ratio = sum(spent) / sum(whole)
    rest = [a - ratio * b for a, b in zip(spent, whole, strict=True)]
    return 1 - ratio, spread(rest) / mean(whole)


class Runs:
    """The problems of one family in one setting, and their runs."""

    def __init__(
        self, model: EmbeddedChatModel, setting: Setting, problems: Sequence[Problem], most: int, epochs: int
    ) -> None:
        self.problems, self.most = problems, most
        options: dict[str, Any] = {"max_epochs": epochs, "temperature": setting.temperature}
        self.single = create_inftythink_graph(model, **options)
        self.parallel = create_inftythink_graph(model, num_paths=max(most, 2), **options)
        self.wholes: dict[tuple[int, int], Whole] = {}

    async def run(self, paths: int) -> list[dict[str, Any]]:
        """Solve all problems with that many paths, and keep the paths that came to their ends."""
        jobs = [
            self.parallel.ainvoke(
                {"question": problem.question}, context=InftyThinkContext(num_paths=paths, seed=SEEDS_APART * number)
            )
            for number, problem in enumerate(self.problems)
        ]
        results = await asyncio.gather(*jobs)
        for number, result in enumerate(results):
            for record in result["paths"]:
                if record["status"] != "stopped":
                    self.wholes.setdefault((number, record["path"]), Whole.of(record))
        return results

    async def complete(self) -> None:
        """Run the paths that were always stopped to their ends."""
        keys = [(number, path) for number in range(len(self.problems)) for path in range(1, self.most + 1)]
        missing = [key for key in keys if key not in self.wholes]
        jobs = [
            self.single.ainvoke(
                {"question": self.problems[number].question},
                context=InftyThinkContext(seed=SEEDS_APART * number + (path - 1) * SEED_STRIDE),
            )
            for number, path in missing
        ]
        for key, result in zip(missing, await asyncio.gather(*jobs), strict=True):
            self.wholes[key] = Whole.of(result)


async def measure(runs: Runs, setting: Setting, family: str, counts: Sequence[int]) -> list[Row]:
    """The rows of one family in one setting."""
    results, seconds = {}, {}
    for paths in sorted(counts, reverse=True):
        start = time.perf_counter()
        results[paths] = await runs.run(paths)
        seconds[paths] = time.perf_counter() - start
    await runs.complete()
    return [_row(runs, setting, family, paths, results[paths], seconds[paths]) for paths in sorted(counts)]


def _row(
    runs: Runs, setting: Setting, family: str, paths: int, results: Sequence[dict[str, Any]], seconds: float
) -> Row:
    problems = runs.problems
    right = [result["answer"] == problem.answer for result, problem in zip(results, problems, strict=True)]
    usages = [result["usage"] for result in results]
    tokens = [float(usage["completion_tokens"]) for usage in usages]
    squared = [float(usage["sum_squared_tokens"]) for usage in usages]
    epochs = [float(sum(record["epochs"] for record in result["paths"])) for result in results]
    ends = [[runs.wholes[number, path] for path in range(1, paths + 1)] for number in range(len(problems))]
    whole = [float(sum(end.tokens for end in each)) for each in ends]
    oracle = [any(end.answer == problem.answer for end in each) for each, problem in zip(ends, problems, strict=True)]
    saved, saved_error = share_saved(tokens, whole)
    saved_in_turn, saved_in_turn_error = share_saved([in_turn(each) for each in ends], whole)
    stopped = [record["status"] == "stopped" for result in results for record in result["paths"]]
    return Row(
        setting=str(setting),
        family=family,
        paths=paths,
        problems=len(problems),
        correct=sum(right),
        accuracy=mean(right),
        accuracy_error=spread([float(each) for each in right]),
        oracle=mean(oracle),
        tokens=mean(tokens),
        tokens_error=spread(tokens),
        squared_tokens=mean(squared),
        squared_tokens_error=spread(squared),
        epochs=mean(epochs),
        epochs_error=spread(epochs),
        whole_tokens=mean(whole),
        saved=saved,
        saved_error=saved_error,
        saved_in_turn=saved_in_turn,
        saved_in_turn_error=saved_in_turn_error,
        stopped=mean(stopped),
        seconds=seconds,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| setting | family | paths | correct | oracle | tokens | tokens squared | epochs"
        " | saved by stopping | one after another |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.setting} | {row.family} | {row.paths} | {row.accuracy:.1%} ± {row.accuracy_error:.1%}"
            f" | {row.oracle:.1%} | {row.tokens:,.0f} ± {row.tokens_error:,.0f}"
            f" | {row.squared_tokens:,.0f} ± {row.squared_tokens_error:,.0f}"
            f" | {row.epochs:.1f} ± {row.epochs_error:.1f} | {row.saved:.1%} ± {row.saved_error:.1%}"
            f" | {row.saved_in_turn:.1%} ± {row.saved_in_turn_error:.1%} |"
        )
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Accuracy and tokens against the number of paths, a row of panels for each setting."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter, ScalarFormatter, StrMethodFormatter

    settings = list(dict.fromkeys(row.setting for row in rows))
    figure = Figure(figsize=(10, 3.6 * len(settings)), layout="constrained")
    grid = figure.subplots(len(settings), 2, squeeze=False)
    for (left, right), setting in zip(grid, settings, strict=True):
        for number, family in enumerate(dict.fromkeys(row.family for row in rows)):
            ours = [row for row in rows if (row.setting, row.family) == (setting, family)]
            paths, color = [row.paths for row in ours], f"C{number}"
            shifted = [count * (1 + 0.02 * (number - 1)) for count in paths]  # or the bars would hide one another
            accuracy, errors = [row.accuracy for row in ours], [row.accuracy_error for row in ours]
            left.errorbar(shifted, accuracy, yerr=errors, marker="o", capsize=3, color=color, label=family)
            left.plot(paths, [row.oracle for row in ours], linestyle=":", color=color)
            tokens, errors = [row.tokens for row in ours], [row.tokens_error for row in ours]
            right.errorbar(paths, tokens, yerr=errors, marker="o", capsize=3, color=color, label=family)
            right.plot(paths, [row.whole_tokens for row in ours], linestyle="--", color=color)
        left.set(title=f"{setting}: correct", ylim=(0, 1.03))
        left.yaxis.set_major_formatter(PercentFormatter(1))
        right.set(title="tokens generated for a problem", yscale="log")
        right.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        right.yaxis.set_minor_formatter(StrMethodFormatter("{x:,.0f}"))
        for axes, note in ((left, "dotted: any path right"), (right, "dashed: without stopping")):
            axes.set_xscale("log", base=2)
            axes.set_xticks(sorted({row.paths for row in rows}))
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.set_xlabel(f"paths ({note})")
            axes.grid(alpha=0.3)
            axes.legend()
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=bundled_path(), help="folder of the InftyThink model")
    parser.add_argument("--count", type=int, default=40, help="problems of each family")
    parser.add_argument("--paths", type=int, nargs="+", default=[1, 2, 3, 5, 8, 16], help="numbers of paths")
    parser.add_argument(
        "--setting",
        type=Setting.parse,
        action="append",
        help="temperature:min_steps:max_steps (default: 0.7:16:64 and, harder, 1.4:16:64)",
    )
    parser.add_argument("--max-epochs", type=int, default=40, help="most epochs of a path (default: %(default)s)")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=1, help="seed of the problems")
    parser.add_argument("--max-batch", type=int, default=128, help="most requests that the model takes at once")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw them (png, svg)")
    args = parser.parse_args(argv)

    model = EmbeddedChatModel(model_path=str(args.model), max_batch=args.max_batch)
    rows: list[Row] = []
    for setting in args.setting or [Setting(0.7, 16, 64), Setting(1.4, 16, 64)]:
        for family in args.families:
            bounds = {"min_steps": setting.min_steps, "max_steps": setting.max_steps}
            problems = list(generate(family, args.count, seed=args.seed, split="test", **bounds))
            runs = Runs(model, setting, problems, max(args.paths), args.max_epochs)
            rows += asyncio.run(measure(runs, setting, family, args.paths))
            print(table(rows[-len(args.paths) :]), flush=True)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
