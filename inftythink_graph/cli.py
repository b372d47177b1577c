"""The command line: ``inftythink solve``, ``serve``, ``run``, ``eval``, ``report``, ``build-data`` and ``train``.

Exit code 2 for input that can't be run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph import __version__
from inftythink_graph._command_options import (
    add_loop_options,
    add_model_options,
    add_protocol_options,
    chat_model,
    loop_options,
)
from inftythink_graph.errors import InftyThinkError, InvalidInputError, one_line
from inftythink_graph.plain_text import printable, printable_json

if TYPE_CHECKING:
    from inftythink_graph.graph import InftyThinkGraph
    from inftythink_graph.models.base import ModelInfo

__all__ = ["build_parser", "main"]

_PREFIX = "inftythink: "


def _add_solve(commands: Any) -> None:
    solve = commands.add_parser(
        "solve",
        help="think a question through and show how",
        description="Think a question through. Without --base-url the bundled small model answers, in this process: it"
        " knows Collatz stopping times, greatest common divisors and products, and nothing else.",
    )
    solve.add_argument("question", help="the question; '-' reads it from standard input")
    model = solve.add_argument_group("model")
    add_model_options(model)
    add_protocol_options(model)
    loop = solve.add_argument_group("thinking")
    add_loop_options(loop, max_epochs=200)
    loop.add_argument("--gold", metavar="ANSWER", help="check answers against this one and think on while they differ")
    output = solve.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print the result, trace included, as one JSON object")
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw context against tokens generated (png, svg)")


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    about = "Reasoning of unbounded depth in a bounded context."
    parser = argparse.ArgumentParser(prog="inftythink", description=about)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_solve(commands)
    commands.add_parser(
        "serve", add_help=False, help="serve a model with vLLM, with the flags that the reasoner profits from"
    )
    commands.add_parser("run", add_help=False, help="think many questions through, from a file into a file")
    commands.add_parser("eval", add_help=False, help="measure models on benchmarks: InftyThink against one long chain")
    commands.add_parser("report", add_help=False, help="tables, pictures and a page of what was measured")
    commands.add_parser(
        "build-data", add_help=False, help="make training data of long chains of thought, of any data set"
    )
    commands.add_parser("train", add_help=False, help="train a model on such data, by a recipe (--config)")
    return parser


def _graph(args: argparse.Namespace) -> tuple[InftyThinkGraph, ModelInfo]:
    from inftythink_graph.answers import gold_verifier
    from inftythink_graph.graph import create_inftythink_graph

    model = chat_model(args.base_url, args.model, args.api_key)
    graph = create_inftythink_graph(
        model,
        **loop_options(args),
        verifier=gold_verifier(args.gold) if args.gold else None,
        keep_trace=True,
    )
    return graph, model.describe()


def _check_plot(path: Path | None) -> None:
    # Before the thinking starts, not after.
    if path is not None and not path.resolve().parent.is_dir():
        raise InvalidInputError(f"can't write {path}: the folder {path.parent} does not exist")


def _solve(args: argparse.Namespace) -> int:
    from rich.console import Console

    from inftythink_graph.view import RunView, show_result

    question = sys.stdin.read() if args.question == "-" else args.question
    _check_plot(args.plot)
    graph, info = _graph(args)
    console = Console(stderr=args.json)
    view = RunView(console, window=info.window, max_epochs=args.max_epochs)
    result = view.watch(graph, question)
    if args.json:
        told = {name: value for name, value in result.items() if name != "messages"}
        print(printable_json(told))
    else:
        show_result(console, result, window=info.window)
    if args.plot is not None:
        from inftythink_graph.plot import save_sawtooth

        save_sawtooth(args.plot, result["trace"], window=info.window)
        console.print(f"plot: {printable(str(args.plot))}", style="dim", markup=False)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    from langchain_core.exceptions import ModelError

    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["serve"]:
            from inftythink_graph.serve import main as serve

            return serve(arguments[1:])
        if arguments[:1] == ["run"]:
            from inftythink_graph.runner.command import main as run

            return run(arguments[1:])
        if arguments[:1] in (["eval"], ["report"]):
            from inftythink_graph.evaluation import command

            return (command.evaluate if arguments[0] == "eval" else command.report)(arguments[1:])
        if arguments[:1] == ["build-data"]:
            from datasets_build.pipeline.cli import main as build_data

            return build_data(arguments[1:])
        if arguments[:1] == ["train"]:
            from sft.train import main as train

            return train(arguments[1:])
        args = build_parser().parse_args(arguments)
        return _solve(args)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InftyThinkError, ModelError, ConnectionError) as error:
        print(f"{_PREFIX}{one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{_PREFIX}interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
