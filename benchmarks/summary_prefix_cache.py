"""Share of prompt tokens that a server takes from its prefix cache while chains are summarized, by order of the prompt.

Append-only order (what datasets_build sends) against the naive one (question, all summaries, all segments), with the
same chains and replies of the same length. Only tokens are counted: replies are taken as they come, none is rejected or
asked for again, and the quality of the summaries doesn't matter. So without ``--base-url`` or ``--model`` the script
makes a small random model and serves it. The chains are synthetic (datasets_build.synthetic), cut by an estimate of
their tokens. Each order has its own part of the cache (vLLM's cache_salt), so neither profits from the other.

Run as: ``python benchmarks/summary_prefix_cache.py`` (``--json FILE`` for the figures; ``--base-url`` and ``--model``
for a server that runs, ``--model FOLDER`` alone for one to start; ``--dry-run`` without any server).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from datasets_build.segmentation.segment import pack_units
from datasets_build.summaries.conversation import estimate_tokens, naive_request, summary_request
from datasets_build.summaries.prompt import default_prompt
from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph import ChatVLLM, EmbeddedChatModel
from inftythink_graph.nodes.flow import read_reply
from inftythink_graph.protocol import Message, neutralize
from inftythink_graph.serve import running_server
from inftythink_graph.state import Usage, add_usage, no_usage

__all__ = ["Chain", "Row", "main"]

PROMPT = default_prompt()
ORDERS: dict[str, Callable[..., list[Message]]] = {"append-only": summary_request, "naive": naive_request}
MOST_STEPS = 400


@dataclass(frozen=True)
class Chain:
    """A question and the segments of its chain."""

    question: str
    segments: list[str]


@dataclass(frozen=True)
class Row:
    """One line of the table: all chains in one order.

    ``repeated_share`` is the part of the prompts' characters that stood at the head of an earlier request already: what
    a cache without blocks, and large enough, would serve.
    """

    order: str
    chains: int
    segments: int
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    repeated_share: float
    seconds: float

    @property
    def cached_share(self) -> float:
        """Share of the prompt tokens that came from the cache."""
        return self.cached_tokens / max(self.prompt_tokens, 1)


def draw_chains(count: int, segments: int, eta: int, seed: int) -> list[Chain]:
    """Synthetic chains, each cut to this many segments of at most ``eta`` tokens by the estimate."""

    def sizes(texts: Sequence[str]) -> list[int]:
        return [estimate_tokens(text) for text in texts]

    chains: list[Chain] = []
    wanted_steps = min(MOST_STEPS, segments * eta // 20)
    for family in FAMILIES:
        for problem in generate(family, 50 * count, seed=seed, min_steps=wanted_steps, max_steps=MOST_STEPS):
            if len(chains) == count:
                return chains
            lines = problem.chain.split("\n")
            spans = pack_units(lines, eta, sizes)[:segments]
            if len(spans) == segments:
                texts = ["\n".join(lines[span.start : span.stop]) for span in spans]
                chains.append(Chain(problem.question, texts))
    if len(chains) < count:
        raise SystemExit(
            f"only {len(chains)} synthetic chains have {segments} segments of {eta} tokens: lower --eta, --segments or"
            " --chains"
        )
    return chains


def _text(messages: Sequence[Message]) -> str:
    return "".join(f"\x00{message['role']}\n{message['content']}" for message in messages)


def _common(left: str, right: str) -> int:
    return sum(1 for _ in takewhile(bool, map(str.__eq__, left, right)))


async def _one_chain(
    model: BaseChatModel, chain: Chain, render: Callable[..., list[Message]], budget: int, options: dict[str, Any]
) -> tuple[Usage, int, int]:
    """Usage, characters of all prompts, and how many of them stood at the head of the request before."""
    usage, characters, repeated, before = no_usage(), 0, 0, ""
    summaries: list[str] = []
    for _ in chain.segments[:-1]:
        messages = render(PROMPT, chain.question, chain.segments, summaries, budget=budget)
        start = time.perf_counter()
        message = await model.ainvoke(messages, max_tokens=budget, temperature=0.0, **options)
        reply = read_reply(message, budget, time.perf_counter() - start)
        usage = add_usage(usage, reply.usage)
        summaries.append(neutralize(reply.text).strip() or "-")
        text = _text(messages)
        characters, repeated = characters + len(text), repeated + _common(before, text)
        before = text
    return usage, characters, repeated


async def measure(
    model: BaseChatModel, order: str, chains: Sequence[Chain], *, budget: int, concurrency: int, served: bool
) -> Row:
    """Summarize all chains in one order."""
    options: dict[str, Any] = {}
    if served:  # replies of one length, whatever a random model writes, and a cache of one's own
        body = {"ignore_eos": True, "min_tokens": budget, "cache_salt": f"{order}-{uuid.uuid4()}"}
        options["extra_body"] = body
    gate = asyncio.Semaphore(concurrency)

    async def run(chain: Chain) -> tuple[Usage, int, int]:
        async with gate:
            return await _one_chain(model, chain, ORDERS[order], budget, options)

    start = time.perf_counter()
    results = await asyncio.gather(*(run(chain) for chain in chains))
    usage = no_usage()
    for each, _, _ in results:
        usage = add_usage(usage, each)
    return Row(
        order=order,
        chains=len(chains),
        segments=len(chains[0].segments),
        requests=usage["requests"],
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage["cached_tokens"],
        completion_tokens=usage["completion_tokens"],
        repeated_share=sum(repeated for _, _, repeated in results) / sum(characters for _, characters, _ in results),
        seconds=time.perf_counter() - start,
    )


def random_checkpoint(folder: Path, window: int, seed: int) -> Path:
    """Write a small Qwen2 with random weights, whose tokenizer knows the words of the chains and of the prompt."""
    from sft.scratch import build_model, build_tokenizer

    problems = [problem for family in FAMILIES for problem in generate(family, 30, seed=seed, max_steps=60)]
    texts = [text for problem in problems for text in (problem.question, problem.chain, problem.conclusion)]
    corpus = [*texts, *[PROMPT.instruction, PROMPT.opening, PROMPT.turn, PROMPT.omitted] * 20]
    tokenizer = build_tokenizer(corpus, vocab_size=1024, model_max_length=window)
    shape = {"hidden_size": 64, "num_layers": 2, "num_heads": 2, "intermediate_size": 128}
    build_model(tokenizer, **shape, context=window, seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[tuple[BaseChatModel, str]]:
    """The model to ask, and its name for the record."""
    if args.base_url and not args.dry_run:
        model = ChatVLLM(model=args.model or "", base_url=args.base_url)
        yield model, args.model or args.base_url
        return
    with tempfile.TemporaryDirectory(prefix="summary-prefix-cache-") as temporary:
        if args.dry_run:
            folder = args.model or str(random_checkpoint(Path(temporary), args.window, args.seed))
            yield EmbeddedChatModel(model_path=folder), args.model or "random Qwen2, in process"
            return
        folder = args.model or str(random_checkpoint(Path(temporary), args.window, args.seed))
        with running_server(folder, name="summarizer", log=args.log) as server:
            yield ChatVLLM(model=server.model, base_url=server.base_url), args.model or "random Qwen2"


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| order | requests | prompt tokens | from the cache | share | repeated at most | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.order} | {row.requests} | {row.prompt_tokens:,} | {row.cached_tokens:,} | {row.cached_share:.1%}"
            f" | {row.repeated_share:.1%} | {row.seconds:.1f} |"
        )
    return "\n".join(lines)


def _at_least(lowest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"must be at least {lowest}, got {value}")
        return value

    return parse


def main(argv: Sequence[str] | None = None) -> None:
    """Measure both orders and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base-url", help="an OpenAI-compatible server that runs (default: start one)")
    parser.add_argument("--model", help="the served name, or without --base-url the model to serve (default: random)")
    parser.add_argument("--chains", type=_at_least(1), default=8, help="number of chains")
    parser.add_argument("--segments", type=_at_least(5), default=6, help="segments of each chain")
    parser.add_argument("--eta", type=_at_least(64), default=320, help="most tokens of a segment, by the estimate")
    parser.add_argument("--budget", type=_at_least(1), default=64, help="tokens of each summary")
    parser.add_argument("--window", type=_at_least(512), default=4096, help="window of the random model")
    parser.add_argument("--concurrency", type=_at_least(1), default=4, help="chains at a time")
    parser.add_argument("--seed", type=int, default=1, help="seed of the chains and of the random model")
    parser.add_argument("--log", type=Path, help="the log of the server that is started")
    parser.add_argument("--dry-run", action="store_true", help="no server: the model runs in this process, no cache")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)

    chains = draw_chains(args.chains, args.segments, args.eta, args.seed)
    rows: list[Row] = []
    with opened(args) as (model, name):
        for order in ORDERS:
            options = {"budget": args.budget, "concurrency": args.concurrency, "served": not args.dry_run}
            rows.append(asyncio.run(measure(model, order, chains, **options)))
            print(rows[-1], flush=True)
    print(table(rows))
    if not args.dry_run and not any(row.cached_tokens for row in rows):
        print(
            "no cached tokens were reported: the server needs --enable-prefix-caching and"
            " --enable-prompt-tokens-details"
        )
    if args.json:
        figures = [{**asdict(row), "cached_share": row.cached_share} for row in rows]
        settings = {"model": name, "eta": args.eta, "budget": args.budget, "concurrency": args.concurrency}
        args.json.write_text(json.dumps({**settings, "rows": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
