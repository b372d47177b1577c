"""Preparing a recipe's rows in batches (what ``sft.train`` does) against one by one, with the same rows in one run.

One by one is the definition: every line of every chain is counted by a call of the tokenizer, every row rendered and
tokenized by itself (``datasets_build.row_tokens``). Both must give the same token ids; the run fails if they don't.
Times are CPU seconds of this process, so other work on the machine doesn't count.

Run as: ``python benchmarks/row_preparation.py`` (``--chains 500`` of each family, ``--recipe FILE``, ``--json FILE``).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from datasets_build.row_tokens import tokenize_row
from inftythink_graph.models import bundled_path
from sft.arguments import DataArguments
from sft.data import load_rows
from sft.prepared import Sources, prepare
from sft.recipe import read_recipe
from sft.row_table import fingerprint

__all__ = ["Result", "main"]

RECIPE = Path(__file__).parents[1] / "sft" / "recipes" / "bundled.yaml"


@dataclass(frozen=True)
class Result:
    """What was measured: rows, and CPU seconds one by one and in batches."""

    rows: int
    tokens: int
    one_by_one: float
    in_batches: float
    fingerprint: str

    @property
    def ratio(self) -> float:
        """How many times as fast batches are."""
        return self.one_by_one / self.in_batches


def _one_by_one(data: DataArguments, tokenizer: PreTrainedTokenizerBase, max_length: int) -> str:
    """The fingerprint of the rows as the definition makes them."""

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    items = (tokenize_row(row, tokenizer) for row in load_rows(data, count))
    kept = [item for item in items if len(item["input_ids"]) <= max_length]
    return fingerprint(Dataset.from_list(kept))


def measure(data: DataArguments, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Result:
    """Prepare the rows both ways.

    Raises:
        ValueError: they differ.
    """
    # Tables that are made once a process and serve both ways.
    prepare(
        replace(data, synthetic_chains=1),
        Sources.open(replace(data, synthetic_chains=1), tokenizer),
        tokenizer,
        max_length,
    )
    start = time.process_time()
    found = prepare(data, Sources.open(data, tokenizer), tokenizer, max_length)
    middle = time.process_time()
    expected = _one_by_one(data, tokenizer, max_length)
    end = time.process_time()
    if found.fingerprint != expected:
        raise ValueError(f"the rows differ: {found.fingerprint} in batches, {expected} one by one")
    return Result(found.funnel["rows"], found.funnel["tokens"], end - middle, middle - start, expected)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the two times and their ratio. Exit code 1 where the rows differ."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="a recipe with dataset: synthetic")
    parser.add_argument("--tokenizer", default=str(bundled_path()), help="a model's folder or name")
    parser.add_argument("--chains", type=int, default=300, help="chains of each family")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    data, _, config = read_recipe(["--config", str(args.recipe), "--synthetic_chains", str(args.chains)])
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    try:
        result = measure(data, tokenizer, int(config.max_length))
    except ValueError as error:
        print(f"row_preparation: {error}", file=sys.stderr)
        return 1
    if args.json:
        args.json.write_text(json.dumps({**asdict(result), "ratio": result.ratio}, indent=2) + "\n")
    print(f"{result.rows:,} rows of {result.tokens:,} tokens, the same both ways ({result.fingerprint})")
    for name, seconds in (("one by one", result.one_by_one), ("in batches", result.in_batches)):
        print(f"{name}: {seconds:6.1f} s CPU, {1e3 * seconds / result.rows:.2f} ms a row")
    print(f"in batches {result.ratio:.1f} times as fast")
    return 0


if __name__ == "__main__":
    sys.exit(main())
