"""Segments of long chains of thought: within eta, lossless, where they are cut, and how fast.

Compared with the published algorithm (Yan et al. 2025, arXiv 2503.06692, section 3.2), written anew from its
description: paragraphs are counted one by one and added to a segment until its sum exceeds eta. Joints are not counted,
the paragraph that exceeds eta is still added, and an oversized paragraph stays whole.

Run as: ``python benchmarks/segmentation.py FILE.jsonl`` (rows as in OpenR1-Math-220k; ``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one core for both sides

from rich.console import Console
from rich.markdown import Markdown

from datasets_build.segmentation.segment import Segment, segment_chain
from datasets_build.segmentation.units import Cut
from sft.scratch import build_tokenizer

__all__ = ["Row", "main", "published"]

Cutter = Callable[[str, int], list[Segment]]


@dataclass(frozen=True)
class Row:
    """One line of the table: a method at one eta.

    Attributes:
        eta: the bound in tokens.
        method: ours (greedy, optimal) or the published one; ``batched`` has one tokenizer call for all paragraphs.
        chains: chains of the input.
        lost: chains that gave an error or nothing.
        segments: segments of all chains.
        over: segments above eta.
        lossless: chains that their segments give back byte for byte.
        tiny: segments below a quarter of eta, in chains of more than one segment.
        cuts: number of cuts of each kind; ends of chains are none.
        rows_per_second: chains a second on one core; median of the repetitions.
        speed: that, over the published method's in the same run; median of the repetitions' ratios.
    """

    eta: int
    method: str
    chains: int
    lost: int
    segments: int
    over: int
    lossless: int
    tiny: int
    cuts: dict[str, int]
    rows_per_second: float
    speed: float


def read_chains(path: Path) -> Iterator[str]:
    """What stands between the think tags of each row's first generation."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            generation = (json.loads(line).get("generations") or [""])[0] or ""
            chain = generation.partition("</think>")[0].replace("<think>", "", 1).strip()
            if chain:
                yield chain


def published(tokenizer: Any, *, batched: bool) -> Cutter:
    """The published algorithm, as its description has it."""

    def count(paragraphs: Sequence[str]) -> list[int]:
        if batched:
            return [len(ids) for ids in tokenizer(paragraphs, add_special_tokens=False, verbose=False)["input_ids"]]
        return [len(tokenizer.encode(text, add_special_tokens=False, verbose=False)) for text in paragraphs]

    def cut(chain: str, eta: int) -> list[Segment]:
        paragraphs = chain.split("\n\n")
        segments: list[Segment] = []
        held: list[str] = []
        total = 0
        for paragraph, size in zip(paragraphs, count(paragraphs), strict=True):
            held.append(paragraph)
            total += size
            if total > eta:
                segments.append(Segment("\n\n".join(held), "\n\n", total, "paragraph"))
                held, total = [], 0
        if held:
            return [*segments, Segment("\n\n".join(held), "", total, "end")]
        return [*segments[:-1], Segment(segments[-1].text, "", segments[-1].tokens, "end")]

    return cut


def cutters(tokenizer: Any) -> dict[str, Cutter]:
    """All methods by name."""
    return {
        "greedy": lambda chain, eta: segment_chain(chain, eta, tokenizer),
        "optimal": lambda chain, eta: segment_chain(chain, eta, tokenizer, mode="optimal"),
        "published": published(tokenizer, batched=False),
        "published, batched": published(tokenizer, batched=True),
    }


def seconds(cut: Cutter, chains: Sequence[str], eta: int) -> float:
    """CPU seconds of this process, which other processes on the machine change least."""
    start = time.process_time()
    for chain in chains:
        cut(chain, eta)
    return time.process_time() - start


def measure(tokenizer: Any, chains: Sequence[str], eta: int, repetitions: int) -> list[Row]:
    """One row for each method. Methods take turns, so that a change of the machine's speed meets all of them."""
    methods = cutters(tokenizer)
    times: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(repetitions):
        order = list(methods)[turn % len(methods) :] + list(methods)[: turn % len(methods)]
        for name in order:
            times[name].append(seconds(methods[name], chains, eta))
    rows = []
    for name, cut in methods.items():
        lost = over = lossless = segments = tiny = 0
        cuts: Counter[str] = Counter()
        for chain in chains:
            try:
                found = cut(chain, eta)
            except ValueError:
                lost += 1
                continue
            texts = [segment.text for segment in found]
            ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
            sizes = [len(each) for each in ids]
            lost += not found
            segments += len(found)
            over += sum(size > eta for size in sizes)
            tiny += sum(size < eta / 4 for size in sizes) if len(found) > 1 else 0
            lossless += "".join(segment.text + segment.joint for segment in found) == chain
            cuts.update(segment.cut for segment in found[:-1])
        ratios = [slow / fast for slow, fast in zip(times["published"], times[name], strict=True)]
        rate = len(chains) / median(times[name])
        rows.append(Row(eta, name, len(chains), lost, segments, over, lossless, tiny, dict(cuts), rate, median(ratios)))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    kinds = [kind for kind in get_args(Cut) if any(kind in row.cuts for row in rows)]
    heads = ["eta", "method", "segments", "over eta", "chains lost", "lossless", "tiny"]
    heads += [*(f"cut: {kind}" for kind in kinds), "rows/s", "speed"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for row in rows:
        cuts = sum(row.cuts.values())
        # The published method knows no kinds: all its cuts are at blank lines.
        shares = [f"{row.cuts.get(kind, 0) / cuts:.1%}" if cuts else "" for kind in kinds]
        cells = [str(row.eta), row.method, str(row.segments), f"{row.over / max(row.segments, 1):.1%}", str(row.lost)]
        cells += [f"{row.lossless / row.chains:.1%}", str(row.tiny), *shares]
        lines.append(f"| {' | '.join([*cells, f'{row.rows_per_second:.1f}', f'{row.speed:.2f}'])} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all methods at every eta and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="JSONL, rows as in OpenR1-Math-220k")
    parser.add_argument(
        "--tokenizer", help="name or folder of a tokenizer; without, an 8k BPE of the chains is trained"
    )
    parser.add_argument("--eta", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--repetitions", type=int, default=5, help="timed runs of each method")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)

    chains = list(read_chains(args.data))
    if not chains:
        parser.error(f"{args.data} holds no chain: rows need 'generations' with text before </think>")
    if args.tokenizer:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    else:
        tokenizer = build_tokenizer(chains, vocab_size=8192, model_max_length=10**9)
    rows = [row for eta in args.eta for row in measure(tokenizer, chains, eta, args.repetitions)]
    console = Console()
    text = table(rows)
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
