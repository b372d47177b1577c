"""``inftythink eval`` and ``inftythink report``."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from inftythink_graph._command_options import add_model_options, add_protocol_options, chat_model, protocol_of
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.folder import find_runs, read_run
from inftythink_graph.evaluation.harness import aevaluate
from inftythink_graph.evaluation.methods import InftyThink, Method, Vanilla
from inftythink_graph.evaluation.progress import EvaluationView
from inftythink_graph.evaluation.tasks import Task, load_task
from inftythink_graph.evaluation.trials import Run

__all__ = ["evaluate", "evaluation_parser", "report", "report_parser"]

METHODS = ("inftythink", "vanilla")


def evaluation_parser() -> argparse.ArgumentParser:
    """The parser of ``inftythink eval``."""
    parser = argparse.ArgumentParser(
        prog="inftythink eval",
        description="Measure a model on benchmarks, thinking in segments (inftythink) and in one chain (vanilla), and"
        " write a report. A command that was killed goes on where it was when it is given again. Without --base-url the"
        " bundled small model is measured, and its twin that thinks in one chain: they know the long-horizon families"
        " only.",
    )
    parser.add_argument(
        "tasks",
        nargs="+",
        metavar="TASK",
        help="math500, aime24, aime25, gpqa_diamond; a JSON Lines file, alone or as TASK=FILE; or collatz, gcd, product"
        " with options, as in gcd:min_steps=20,max_steps=40,count=100",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where trials and report go")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="default: both")
    parser.add_argument("--label", help="what tables call the model, before the method's name")
    model = parser.add_argument_group("model")
    add_model_options(model)
    add_protocol_options(model)
    model.add_argument("--vanilla-base-url", metavar="URL", help="server of the vanilla model, where it is another")
    model.add_argument("--vanilla-model", metavar="MODEL", help="vanilla model, where it is another")
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--samples", type=int, default=16, help="runs of each question (default: %(default)s)")
    sampling.add_argument("--temperature", type=float, default=0.7, help="0 for greedy (default: %(default)s)")
    sampling.add_argument("--top-p", type=float, help="nucleus of the sampling")
    sampling.add_argument("--seed", type=int, default=0, help="seed of samples and of shuffled options")
    sampling.add_argument("--limit", type=int, help="only the first questions of each task")
    sampling.add_argument("--prompt", help="template of the questions, with {problem} (default: the task's own)")
    thinking = parser.add_argument_group("inftythink")
    thinking.add_argument(
        "--eta", type=int, nargs="+", help="most tokens of a segment; several make a run each (default: the model's)"
    )
    thinking.add_argument("--summary-budget", type=int, help="most tokens of a summary (default: the model's)")
    thinking.add_argument("--max-epochs", type=int, default=50, help="most segments (default: %(default)s)")
    thinking.add_argument(
        "--on-exhausted", choices=("force", "return"), default="force", help="out of epochs: force an answer?"
    )
    thinking.add_argument(
        "--on-stall",
        choices=("end", "heat"),
        default="end",
        help="summaries come again: end, or go on at temperature 1?",
    )
    vanilla = parser.add_argument_group("vanilla")
    vanilla.add_argument("--max-len", type=int, help="most tokens of prompt and chain (default: the model's window)")
    running = parser.add_argument_group("running")
    running.add_argument("--concurrency", type=int, default=64, help="questions under way (default: %(default)s)")
    running.add_argument("--timeout", type=float, help="seconds that one request to a server may take (default: 600)")
    running.add_argument("--tries", type=int, default=8, help="tries of a request that meets a server that is away")
    running.add_argument(
        "--traces", type=int, default=1, metavar="N", help="keep the texts of N samples of each question (default: 1)"
    )
    running.add_argument("--no-report", action="store_true", help="only the trials; `inftythink report` does the rest")
    return parser


def report_parser() -> argparse.ArgumentParser:
    """The parser of ``inftythink report``."""
    parser = argparse.ArgumentParser(
        prog="inftythink report",
        description="Tables (Markdown, CSV, JSON), pictures and a page of one or several evaluations.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders of `inftythink eval`")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to (default: report in the first folder)")
    parser.add_argument(
        "--max-trajectories", type=int, metavar="N", help="most trajectories of the page (default: all)"
    )
    return parser


def _methods(args: argparse.Namespace) -> Iterator[InftyThink | Vanilla]:
    before = f"{args.label} " if args.label else ""
    sampling: dict[str, Any] = {"temperature": args.temperature, "top_p": args.top_p, "tries": args.tries}
    server = {"timeout": args.timeout} if args.timeout is not None else {}
    if "inftythink" in args.methods:
        model = chat_model(args.base_url, args.model, args.api_key, **(server if args.base_url else {}))
        for eta in args.eta or [None]:
            yield InftyThink(
                model,
                max_epochs=args.max_epochs,
                eta=eta,
                summary_budget=args.summary_budget,
                protocol=protocol_of(args),
                on_exhausted=args.on_exhausted,
                on_stall=args.on_stall,
                name=f"{before}inftythink" if len(args.eta or [1]) == 1 else f"{before}inftythink, eta {eta}",
                **sampling,
            )
    if "vanilla" in args.methods:
        url, name = args.vanilla_base_url or args.base_url, args.vanilla_model or args.model
        if not url and name is None:
            from inftythink_graph.models import vanilla_twin_path

            name = str(vanilla_twin_path())
        model = chat_model(url, name, args.api_key, **(server if url else {}))
        yield Vanilla(model, max_len=args.max_len, name=f"{before}vanilla", **sampling)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"


def _tasks(args: argparse.Namespace, model: Any) -> list[Task]:
    options = {"limit": args.limit, "seed": args.seed, "prompt": args.prompt, "count_tokens": model.get_num_tokens}
    tasks = [load_task(spec, **options) for spec in args.tasks]
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(f"the task {name!r} is named twice")
    return tasks


async def _run(tasks: Sequence[Task], methods: Sequence[Method], args: argparse.Namespace) -> list[Run]:
    runs = []
    for task in tasks:
        for method in methods:
            view = EvaluationView(f"{task.name}, {method.name}", len(task.questions) * args.samples)
            try:
                run = await aevaluate(
                    task,
                    method,
                    args.output / _slug(task.name) / _slug(method.name),
                    samples=args.samples,
                    seed=args.seed,
                    concurrency=args.concurrency,
                    traces=args.traces,
                    settings={"limit": args.limit},
                    on_start=view.begin,
                    on_trial=view.update,
                )
            finally:
                view.end()
            runs.append(run)
    return runs


def _report(runs: Sequence[Run], folder: Path, max_trajectories: int | None = None) -> None:
    from inftythink_graph.evaluation.report import summarize_all, write_report
    from inftythink_graph.evaluation.report.tables import main_table

    summaries = summarize_all(runs)
    files = write_report(runs, folder, max_trajectories=max_trajectories, summaries=summaries)
    print(main_table(summaries).markdown())
    print(f"report: {files[0]}, {files[1]}", file=sys.stderr)


def evaluate(argv: Sequence[str]) -> int:
    """Run ``inftythink eval``; returns the exit code."""
    args = evaluation_parser().parse_args(argv)
    methods = list(_methods(args))
    tasks = _tasks(args, methods[0].model)
    runs = asyncio.run(_run(tasks, methods, args))
    if not args.no_report:
        _report(runs, args.output / "report")
    return 0


def report(argv: Sequence[str]) -> int:
    """Run ``inftythink report``; returns the exit code."""
    args = report_parser().parse_args(argv)
    runs = [read_run(run) for folder in args.folders for run in find_runs(folder)]
    _report(runs, args.to or args.folders[0] / "report", args.max_trajectories)
    return 0
