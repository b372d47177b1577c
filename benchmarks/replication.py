"""The paper's experiment in miniature, on a CPU: vanilla and InftyThink models of one size, trained and evaluated.

Six models learn the same problems (``sft/recipes/replication``). From the same number of tokens: one that thinks in one
chain, and three that think in segments of different eta. From more: the first one again with its positions scaled to
eight times its window, linearly and by YaRN. Each answers held-out problems of up to 64 windows, with the harness of
``inftythink eval``.

Run as: ``python benchmarks/replication.py`` (three to four hours of one CPU core; ``--jobs 2`` models at a time). A
command that was killed goes on where it was. ``--quick`` goes the whole way with models that have learned nothing, in
minutes; ``--docs FOLDER`` copies the pictures there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inftythink_graph import ChatVLLM, EmbeddedChatModel

__all__ = ["MODELS", "Scale", "main"]

RECIPES = Path(__file__).parents[1] / "sft" / "recipes" / "replication"
WINDOW = 256
"""The unit of depth in tokens: what segments of the widest eta need as a window."""

MODELS = ("vanilla", "vanilla-rope", "vanilla-yarn", "eta-50", "eta-100", "eta-150")
STARTS_FROM = {"vanilla-rope": "vanilla", "vanilla-yarn": "vanilla"}
FAMILIES = ("gcd", "product")


@dataclass(frozen=True, slots=True)
class Scale:
    """How large an experiment is.

    Attributes:
        count: problems of each family.
        windows: depth of the deepest, in windows of :data:`WINDOW` tokens; depths are spread evenly on a logarithmic
            scale.
        samples: runs of each problem, at the temperature of the recipe's card.
        max_epochs: most segments of a run.
        training: words for ``sft.train`` that make it short; none for the recipes as they are.
    """

    count: int = 84
    windows: int = 64
    samples: int = 2
    max_epochs: int = 800
    training: tuple[str, ...] = ()


QUICK = Scale(
    count=4,
    windows=4,
    samples=2,
    max_epochs=4,
    training=("--max_steps", "3", "--synthetic_chains", "200", "--save_steps", "3", "--logging_steps", "1"),
)


def say(line: str) -> None:
    """One line, at once: the output may be a file."""
    print(line, flush=True)


def train(name: str, folder: Path, scale: Scale) -> Path:
    """Train one model, or go on with it; returns the folder of the finished model.

    Raises:
        SystemExit: the training says what is wrong.
    """
    from sft.final import is_finished
    from sft.train import main as train_main

    final = folder / name / "model" / "final"
    if not is_finished(final):
        words = ["--config", str(RECIPES / f"{name}.yaml"), "--output_dir", str(final.parent), "--resume"]
        if start := STARTS_FROM.get(name):
            words += ["--model_name_or_path", str(folder / start / "model" / "final")]
        if code := train_main([*words, *scale.training]):
            raise SystemExit(code)
    return final


@contextmanager
def _thinking(name: str, own: EmbeddedChatModel) -> Iterator[ChatVLLM | EmbeddedChatModel]:
    """What answers for the finished model: the model in this process, or a server of its folder.

    A chain in the wide window is up to 4,096 tokens long. vLLM, which is installed where the server's extra is, writes
    such chains several times faster than transformers.
    """
    from inftythink_graph import ChatVLLM
    from inftythink_graph.serve import running_server

    if name not in STARTS_FROM or find_spec("vllm") is None:
        yield own
        return
    with running_server(own.model_path, name=name) as server:
        yield ChatVLLM(base_url=server.base_url, model=name, timeout=3600)


def evaluate(name: str, folder: Path, scale: Scale) -> None:
    """Have a finished model answer the problems; every answer is on disk as soon as it is there."""
    from inftythink_graph import EmbeddedChatModel
    from inftythink_graph.evaluation import InftyThink, Method, Vanilla, load_task
    from inftythink_graph.evaluation import evaluate as run_method

    own = EmbeddedChatModel(model_path=str(folder / name / "model" / "final"))
    card = own.describe().card
    with _thinking(name, own) as model:
        method: Method = InftyThink(model, max_epochs=scale.max_epochs, on_exhausted="return", name=name)
        if name.startswith("vanilla"):
            method = Vanilla(model, temperature=card.temperature if card else None, name=name)
        for family in FAMILIES:
            spec = f"{family}:windows=0.5-{scale.windows},window={WINDOW},count={scale.count}"
            task = load_task(spec, seed=1, count_tokens=own.get_num_tokens)
            run = run_method(task, method, folder / name / family, samples=scale.samples, concurrency=256)
            say(f"{name}, {family}: {sum(trial['correct'] for trial in run.trials)} of {len(run.trials)} right")


def report(folder: Path, names: Sequence[str]) -> list[Path]:
    """Tables, pictures and the page of all that was evaluated."""
    from inftythink_graph.evaluation import read_run
    from inftythink_graph.evaluation.report import write_report

    runs = [read_run(folder / name / family) for family in FAMILIES for name in names]
    return write_report(runs, folder / "report", window=WINDOW)


def _work(name: str, args: argparse.Namespace) -> int:
    """One model in a process of its own, so that its threads are counted apart; returns the exit code."""
    words = [sys.executable, __file__, "--only", name, "--output", str(args.output), *(["--quick"] * args.quick)]
    threads = max((os.cpu_count() or 1) // args.jobs, 1)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    log = args.output / f"{name}.log"
    say(f"{name}: begun; its log is {log}")
    with log.open("a", encoding="utf-8") as output:
        code = subprocess.run(words, env=environment, stdout=output, stderr=output, check=False).returncode
    say(f"{name}: {'done' if code == 0 else f'failed with exit code {code}; the end of {log} says why'}")
    return code


def _chain(names: Sequence[str], args: argparse.Namespace) -> bool:
    """Models that start from one another, in order; whether all went well."""
    return all(_work(name, args) == 0 for name in names)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, evaluate and report. Exit code 1 where a model failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("runs/replication"), help="folder (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time (default: %(default)s)")
    parser.add_argument("--only", choices=MODELS, help="train and evaluate this model alone, without a report")
    parser.add_argument("--quick", action="store_true", help="the whole way in minutes; the models learn nothing")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="copy the report's pictures there")
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {args.jobs}")
    scale = QUICK if args.quick else Scale()
    args.output.mkdir(parents=True, exist_ok=True)
    if args.only:
        train(args.only, args.output, scale)
        evaluate(args.only, args.output, scale)
        return 0
    chains: dict[str, list[str]] = {}
    for name in MODELS:
        chains.setdefault(STARTS_FROM.get(name, name), []).append(name)
    with ThreadPoolExecutor(args.jobs) as pool:
        if not all(pool.map(lambda names: _chain(names, args), chains.values())):
            return 1
    files = report(args.output, MODELS)
    if args.docs:
        for picture in (file for file in files if file.suffix == ".png"):
            shutil.copy(picture, args.docs / f"replication_{picture.name}")
    say(f"report: {files[0]}, {files[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
