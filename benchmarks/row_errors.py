"""Where a small model trained on synthetic chains errs: rows that don't come out right, by family and kind of row.

Deep problems are right only where every one of some eighty rows is, so what a training run lacks shows here long before
it shows in answers, and in a minute: each held-out row is read once, given the right tokens before each token. Printed
are, for each family, the rows whose every token is the likeliest one, and examples of what came instead.

Run as: ``python benchmarks/row_errors.py FOLDER`` (``--config sft/recipes/bundled.yaml``, the recipe of its rows;
``--min-steps 1 --max-steps 20`` for short chains, which a model may forget while it learns long ones).
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from datasets_build.row_tokens import tokenize_row
from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph.models import bundled_path
from sft.arguments import DataArguments
from sft.synthetic_rows import problem_rows
from sft.train import parse

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["main"]

RECIPE = Path(__file__).parents[1] / "sft" / "recipes" / "bundled.yaml"
# Whatever a recipe thins its rows by is turned off, so that every row of a held-out chain may be drawn.
KEPT = {f"synthetic_{name}" for name in ("families", "chains", "seed", "min_steps", "max_steps")}
THINNING = tuple(
    field.name for field in fields(DataArguments) if field.name.startswith("synthetic_") and field.name not in KEPT
)
SEED, BATCH, SHOWN_BEFORE = 77, 32, 24


def rows_of(
    family: str, count: int, config: Path, tokenizer: PreTrainedTokenizerBase, steps: tuple[int, int | None]
) -> Iterator[tuple[str, Any]]:
    """Held-out rows with their kind: the first and the last one of a chain, and some between."""
    words = ["--config", str(config), *(word for name in THINNING for word in (f"--{name}", "0"))]
    data, _, _ = parse(words)

    def lengths(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    rng, made = random.Random(SEED), 0
    least, most = steps
    bounds: dict[str, Any] = {"min_steps": least, "max_steps": most or data.synthetic_max_steps, "unique": False}
    for problem in generate(family, count, seed=SEED, split="test", **bounds):
        rows = problem_rows(problem, data, lengths, rng)
        middle = rng.sample(rows[1:-1], max(min(4, len(rows) - 2), 0))
        for kind, row in (("first", rows[0]), *(("middle", row) for row in middle), ("last", rows[-1])):
            yield kind, row
            made += 1
            if made == count:
                return


def errors(
    rows: Sequence[tuple[str, Any]], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[str, str | None]]:
    """For each row its kind, and what went wrong first; None where it came out right."""
    for start in range(0, len(rows), BATCH):
        batch = [(kind, tokenize_row(row, tokenizer)) for kind, row in rows[start : start + BATCH]]
        longest = max(len(tokens["input_ids"]) for _, tokens in batch)
        ids, mask = torch.zeros(len(batch), longest, dtype=torch.long), torch.zeros(len(batch), longest)
        for place, (_, tokens) in enumerate(batch):
            ids[place, : len(tokens["input_ids"])] = torch.tensor(tokens["input_ids"])
            mask[place, : len(tokens["input_ids"])] = 1
        with torch.inference_mode():
            likeliest = model(input_ids=ids, attention_mask=mask).logits.argmax(-1)
        for place, (kind, tokens) in enumerate(batch):
            labels = tokens["labels"]
            wrong = [i for i in range(1, len(labels)) if labels[i] not in (-100, int(likeliest[place, i - 1]))]
            if not wrong:
                yield kind, None
                continue
            first = wrong[0]
            before = tokenizer.decode(tokens["input_ids"][max(first - SHOWN_BEFORE, 0) : first])
            right, came = (tokenizer.decode([token]) for token in (labels[first], int(likeliest[place, first - 1])))
            yield kind, f"{before!r}: {came!r} instead of {right!r}"


def main(argv: Sequence[str] | None = None) -> None:
    """Read the rows and print what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=bundled_path(), help="the model")
    parser.add_argument("--config", type=Path, default=RECIPE, help="the recipe of its rows (default: the bundled one)")
    parser.add_argument("--count", type=int, default=1200, help="rows of each family (default: %(default)s)")
    parser.add_argument("--min-steps", type=int, default=100, help="fewest of a chain (default: %(default)s)")
    parser.add_argument("--max-steps", type=int, help="most of a chain (default: as the recipe says)")
    parser.add_argument("--examples", type=int, default=8, help="errors of each family to print (default: %(default)s)")
    args = parser.parse_args(argv)
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    model = AutoModelForCausalLM.from_pretrained(args.folder).eval()
    for family in FAMILIES:
        rows, wrong, shown = Counter[str](), Counter[str](), 0
        drawn = list(rows_of(family, args.count, args.config, tokenizer, (args.min_steps, args.max_steps)))
        for kind, error in errors(drawn, model, tokenizer):
            rows[kind] += 1
            wrong[kind] += error is not None
            if error is not None and shown < args.examples:
                shown += 1
                print(f"    {error}")
        print(f"{family}: wrong " + ", ".join(f"{wrong[kind]} of {rows[kind]} {kind}" for kind in rows), flush=True)


if __name__ == "__main__":
    main()
