"""Share of the prompts that a server takes from its prefix cache while questions are thought through.

Native and prompted, each with a part of the cache of its own (vLLM's cache_salt). What can be shared: between the
epochs of a question, all that stands before its summary; between questions, the instructions of the prompted protocol;
and a segment with the request that has it summarized. A server keeps whole blocks only, so that the share grows with
the length of what is shared.

Only tokens are counted. Without ``--base-url``, ``native`` is measured on the bundled model, and ``prompted``, whose
instructions alone are longer than its window, on a small model with random weights, which fills each segment and each
summary to its limit.

Run as: ``python benchmarks/prompt_cache.py`` (``--base-url`` and ``--model`` for a server that runs; ``--json FILE``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from served import add_questions, add_server, questions_of, served
from summary_prefix_cache import random_checkpoint

from inftythink_graph import ChatVLLM, Protocol, create_inftythink_graph
from inftythink_graph.state import Usage, add_usage, no_usage

__all__ = ["main"]


WINDOW = 4096
RANDOM = {"max_epochs": 8, "eta": 256, "summary_budget": 64}


async def usage_of(
    kind: Any, url: str, model: str, questions: Sequence[str], options: dict[str, Any], *, is_random: bool
) -> Usage:
    """What the questions take together, 16 at a time, with a fresh part of the cache."""
    body = {"cache_salt": uuid.uuid4().hex, **({"ignore_eos": True} if is_random else {})}
    chat = ChatVLLM(base_url=url, model=model, timeout=600, extra_body=body)
    given = {name: value for name, value in options.items() if value is not None}
    # The likeliest token of random weights is the same one over and over.
    temperature = 1.0 if is_random else 0.0
    graph = create_inftythink_graph(chat, protocol=Protocol(kind=kind), temperature=temperature, **given)
    results = await graph.abatch([{"question": question} for question in questions], {"max_concurrency": 16})
    total = no_usage()
    for result in results:
        total = add_usage(total, result["usage"])
    return total


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_server(parser)
    add_questions(parser, count=64, steps=[40, 80])
    parser.add_argument("--protocols", nargs="+", choices=["native", "prompted"], default=["native", "prompted"])
    parser.add_argument("--max-epochs", type=int, help="default: 50; with random weights 8")
    parser.add_argument("--eta", type=int, help="default: the model's own; with random weights 256")
    parser.add_argument("--summary-budget", type=int, help="default: the model's own; with random weights 64")
    args = parser.parse_args(argv)
    questions = questions_of(args)
    figures: dict[str, Any] = {}
    print("| protocol | requests | prompt tokens | from the cache | share |\n|---|---|---|---|---|")
    for kind in args.protocols:
        options: dict[str, int | None] = {
            "max_epochs": args.max_epochs,
            "eta": args.eta,
            "summary_budget": args.summary_budget,
        }
        with tempfile.TemporaryDirectory(prefix="prompt-cache-") as folder:
            folder_or_name = args.model
            is_random = kind == "prompted" and not (args.base_url or args.model)
            if is_random:
                folder_or_name = str(random_checkpoint(Path(folder), WINDOW, seed=0))
                options = {name: RANDOM[name] if value is None else value for name, value in options.items()}
            with served(args.base_url, folder_or_name) as (url, model):
                usage = asyncio.run(usage_of(kind, url, model, questions, options, is_random=is_random))
        prompt, cached = usage["prompt_tokens"], usage["cached_tokens"]
        figures[kind] = {**usage, "cached_share": cached / prompt}
        print(f"| {kind} | {usage['requests']} | {prompt:,} | {cached:,} | {cached / prompt:.1%} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
