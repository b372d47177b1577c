"""``inftythink run``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inftythink_graph._command_options import add_loop_options, add_protocol_options, chat_model, loop_options
from inftythink_graph.runner.log import RunLog
from inftythink_graph.runner.observers import Observer, RunProgress
from inftythink_graph.runner.run import arun_many

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """The command's parser."""
    found = argparse.ArgumentParser(
        prog="inftythink run",
        description="Think many questions through, on one or several servers, and write each result as soon as it is"
        " there. Killed at any moment, the same command goes on where it was, within a question as well.",
    )
    found.add_argument(
        "input", type=Path, metavar="IN.jsonl", help="lines with question (or problem, prompt, messages)"
    )
    found.add_argument("output", type=Path, metavar="OUT.jsonl", help="a line for each finished question, in no order")
    model = found.add_argument_group("model")
    model.add_argument(
        "--base-url", nargs="+", help="one or several servers of the same model; default: the bundled one"
    )
    model.add_argument(
        "--model", help="name on the servers, or a local checkpoint folder; default: the only one served"
    )
    model.add_argument("--api-key", help="key of the servers; default: $VLLM_API_KEY or $OPENAI_API_KEY")
    add_protocol_options(model)
    loop = found.add_argument_group("thinking")
    add_loop_options(loop, max_epochs=50, seed=0)
    loop.add_argument("--max-tokens", type=int, help="most tokens that a question may take (default: no limit)")
    running = found.add_argument_group("running")
    running.add_argument("--concurrency", type=int, default=256, help="questions under way (default: %(default)s)")
    running.add_argument("--timeout", type=float, default=600.0, help="seconds for one request (default: %(default)g)")
    running.add_argument(
        "--give-up-after",
        type=float,
        default=1800.0,
        metavar="SECONDS",
        help="end when no server has answered for that long (default: %(default)g; 0: never)",
    )
    running.add_argument("--traces", action="store_true", help="keep the texts of all epochs in the results")
    running.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="progress for people, or a log of JSON lines"
    )
    running.add_argument("--metrics-port", type=int, metavar="PORT", help="serve Prometheus metrics on this machine")
    return found


def _models(args: argparse.Namespace) -> list[Any]:
    if not args.base_url:
        return [chat_model(None, args.model, None)]
    return [chat_model(url, args.model, args.api_key, timeout=args.timeout) for url in args.base_url]


@contextmanager
def _what_is_loaded_at_rest() -> Iterator[None]:
    """Spare the garbage collector the two hundred thousand objects of the libraries: a tenth of the client's time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _run(args: argparse.Namespace, observers: Sequence[Observer]) -> int:
    run = asyncio.ensure_future(
        arun_many(
            args.input,
            args.output,
            _models(args),
            concurrency=args.concurrency,
            traces=args.traces,
            give_up_after=args.give_up_after or None,
            observers=observers,
            max_tokens=args.max_tokens,
            **loop_options(args),
        )
    )
    # A scheduler that wants the machine back asks with SIGTERM: what is written stays, and the lock is given back.
    asked_to_end = False

    def end() -> None:
        nonlocal asked_to_end
        asked_to_end = True
        run.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        tally = await run
    except asyncio.CancelledError:
        if not asked_to_end:  # Ctrl-C, which whoever called us sees to
            raise
        print("inftythink: ended; the same command goes on where it was", file=sys.stderr)
        return 143
    return 1 if tally.statuses["failed"] else 0


def main(argv: Sequence[str]) -> int:
    """Run ``inftythink run``; returns the exit code: 1 where questions failed."""
    args = parser().parse_args(argv)
    observers: list[Observer] = [RunLog() if args.log_format == "json" else RunProgress()]
    if args.metrics_port is not None:
        from inftythink_graph.runner.prometheus import Metrics

        observers.append(Metrics(args.metrics_port))
    with _what_is_loaded_at_rest():
        return asyncio.run(_run(args, observers))
