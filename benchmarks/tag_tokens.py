"""What single tokens for the protocol's tags do, against tags as plain text: the bundled recipe, both ways, in one run.

The two models see the same rows in the same order; their tokenizers have the same merges, and differ in the tags alone.
Rows that don't fit the window with tags as text are left out of both.

Run as: ``python benchmarks/tag_tokens.py --steps 2000`` (``--json FILE`` for the figures). The default is a quick look.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from datasets_build.row_tokens import row_length, tokenize_row
from datasets_build.synthetic import Problem, generate
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.protocol import TAGS
from sft.arguments import DataArguments
from sft.data import load_rows
from sft.scratch import build_tokenizer
from sft.synthetic_rows import corpus, problem_rows
from sft.train import main as train
from sft.train import parse

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Figures", "main"]

RECIPE = Path(__file__).parents[1] / "sft" / "recipes" / "bundled.yaml"
Way = Literal["text", "tokens"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """What one way of writing tags came to.

    Attributes:
        tags: the way.
        steps: training steps.
        train_seconds: the whole training run, the preparation of its rows included.
        tokens_per_row: of held-out rows, all of them.
        completion_tokens_per_row: those that the loss falls on.
        loss_per_row: nats of a held-out completion, summed over its tokens: comparable between the two.
        rows_all_right: share of held-out rows whose every token is the likeliest one, given the right ones before it.
        generations: what the graph had the model write.
        well_formed: share of them that brought a summary or a conclusion.
        problems_right: share of the problems that were answered right.
    """

    tags: Way
    steps: int
    train_seconds: float
    tokens_per_row: float
    completion_tokens_per_row: float
    loss_per_row: float
    rows_all_right: float
    generations: int
    well_formed: float
    problems_right: float


def _held_out(data: DataArguments, tokenizer: PreTrainedTokenizerBase, number: int) -> Iterator[Row]:
    """Rows of problems that training never draws."""

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    rng = random.Random(1)
    for family in data.synthetic_families:
        rows = (
            row
            for item in generate(family, number, seed=1, split="test", max_steps=data.synthetic_max_steps)
            for row in problem_rows(item, data, count, rng)
        )
        for _, row in zip(range(math.ceil(number / len(data.synthetic_families))), rows, strict=False):
            yield dict(row)


def _teacher_forced(folder: Path, rows: Sequence[Row], batch: int = 32) -> dict[str, float]:
    """Loss and accuracy on rows, and their size."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    items = sorted((tokenize_row(row, tokenizer) for row in rows), key=lambda item: len(item["input_ids"]))
    loss, right, tokens, learned = 0.0, 0, 0, 0
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        longest = max(len(item["input_ids"]) for item in part)

        def padded(name: str, fill: int, part: Sequence[dict[str, list[int]]] = part, to: int = longest) -> Any:
            return torch.tensor([[*item[name], *[fill] * (to - len(item[name]))] for item in part])

        ids, labels = padded("input_ids", tokenizer.pad_token_id), padded("labels", -100)
        mask = torch.tensor([[i < len(item["input_ids"]) for i in range(longest)] for item in part]).long()
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        wanted = labels[:, 1:]
        loss += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum"))
        right += int(((logits.argmax(-1) == wanted) | (wanted < 0)).all(dim=1).sum())
        tokens += int(mask.sum())
        learned += int((wanted >= 0).sum())
    number = len(items)
    return {
        "tokens_per_row": tokens / number,
        "completion_tokens_per_row": learned / number,
        "loss_per_row": loss / number,
        "rows_all_right": right / number,
    }


def _generated(folder: Path, problems: Sequence[Problem], max_epochs: int) -> dict[str, float]:
    """What the graph makes of the model on whole problems, greedily."""
    model = EmbeddedChatModel(model_path=str(folder), temperature=0.0)
    graph = create_inftythink_graph(model, max_epochs=max_epochs, temperature=0.0, keep_trace=True)
    results = graph.batch([{"question": problem.question} for problem in problems])
    kinds = [record["kind"] for result in results for record in result["trace"]]
    right = sum(result["answer"] == problem.answer for result, problem in zip(results, problems, strict=True))
    return {
        "generations": len(kinds),
        "well_formed": sum(kind in ("summary", "conclusion") for kind in kinds) / len(kinds),
        "problems_right": right / len(problems),
    }


def _tokenizers(data: DataArguments, vocab_size: int, window: int) -> dict[Way, Any]:
    """The tokenizers that training builds; that for text has no room for tags, and so the same merges."""
    texts = list(corpus(data))
    sizes: dict[Way, int] = {"text": vocab_size - len(TAGS), "tokens": vocab_size}
    return {
        way: build_tokenizer(texts, vocab_size=size, model_max_length=window, tags_as_tokens=way == "tokens")
        for way, size in sizes.items()
    }


def _fitting(rows: Iterable[Row], tokenizer: Any, window: int) -> list[Row]:
    return [row for row in rows if row_length(row, tokenizer) <= window]


def table(figures: Iterable[Figures]) -> str:
    """The figures as Markdown."""
    lines = [
        "| tags | tokens a row | completion tokens a row | loss a row (nats) | rows all right | well-formed | right |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in figures:
        lines.append(
            f"| {each.tags} | {each.tokens_per_row:.1f} | {each.completion_tokens_per_row:.1f}"
            f" | {each.loss_per_row:.2f} | {each.rows_all_right:.1%} | {each.well_formed:.1%} of {each.generations}"
            f" | {each.problems_right:.1%} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Train both, measure both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=60, help="training steps of each model (the recipe: 8000)")
    parser.add_argument("--held-out", type=int, default=300, help="held-out rows for loss and accuracy")
    parser.add_argument("--problems", type=int, default=24, help="problems to solve, shared out among the families")
    parser.add_argument("--problem-steps", type=int, default=40, help="most steps of such a problem")
    parser.add_argument("--work", type=Path, help="where rows and models go (default: a folder that is removed)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        figures = _measure(args, work)
    print(table(figures))
    if args.json:
        args.json.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")
    return 0


def _measure(args: argparse.Namespace, work: Path) -> list[Figures]:
    data, model, config = parse(["--config", str(RECIPE), "--output_dir", str(work / "unused")])
    window = int(config.max_length or 0)
    # As many chains as the steps can take; the recipe's at full length.
    wanted = args.steps * config.per_device_train_batch_size
    data.synthetic_chains = min(data.synthetic_chains, 10 + wanted // len(data.synthetic_families))
    tokenizers = _tokenizers(data, model.vocab_size, window)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizers["tokens"](list(texts), add_special_tokens=False)["input_ids"]]

    made = list(load_rows(data, count))
    rows = _fitting(made, tokenizers["text"], window)
    print(
        f"{len(rows):,} rows; {len(made) - len(rows):,} left out because they don't fit with tags as text", flush=True
    )
    path = work / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held_out = _fitting(_held_out(data, tokenizers["tokens"], args.held_out), tokenizers["text"], window)
    each = math.ceil(args.problems / len(data.synthetic_families))
    problems = [
        problem
        for family in data.synthetic_families
        for problem in generate(family, each, seed=2, split="test", max_steps=args.problem_steps)
    ]
    figures = []
    for way, tokenizer in tokenizers.items():
        output = work / way
        start = time.perf_counter()
        # The corpus of the tokenizer is of the recipe's families, whatever the rows come from.
        words = ["--dataset", str(path), "--tags", way, "--vocab_size", str(len(tokenizer))]
        words += ["--max_steps", str(args.steps), "--output_dir", str(output), "--save_steps", str(args.steps)]
        if code := train(["--config", str(RECIPE), *words]):
            sys.exit(code)
        seconds = time.perf_counter() - start
        final = output / "final"
        trained = AutoTokenizer.from_pretrained(final).get_vocab()
        if trained != tokenizer.get_vocab():
            raise RuntimeError(f"the tokenizer of {final} isn't the one that the rows were measured with")
        max_epochs = args.problem_steps  # a segment holds a step at the least
        measured = {**_teacher_forced(final, held_out), **_generated(final, problems, max_epochs)}
        figures.append(Figures(tags=way, steps=args.steps, train_seconds=seconds, **measured))
        print(figures[-1], flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
