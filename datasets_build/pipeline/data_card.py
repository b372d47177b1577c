"""The data set card: what Hugging Face reads to load the rows, and what a reader needs to trust them."""

from __future__ import annotations

from pathlib import Path

from datasets_build.pipeline.options import FREE
from datasets_build.pipeline.report import PREVIEW, BuildReport
from datasets_build.sources.load import source_name
from inftythink_graph import __version__
from inftythink_graph.plain_text import escaped
from inftythink_graph.protocol import PROTOCOL_VERSION

__all__ = ["data_card"]

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def _front(report: BuildReport) -> list[str]:
    lines = ["---", "# license: choose one; the licence of the source and the terms of the summarizer's model bind you"]
    lines += ["task_categories:", "- text-generation", "tags:", "- reasoning", "- inftythink", "- trl", "- sft"]
    lines += ["size_categories:", f"- {_size(report.funnel.passed('instances'))}"]
    lines += ["configs:", "- config_name: inftythink", "  default: true", "  data_files: data/train-*.parquet"]
    if report.options.vanilla:
        lines += ["- config_name: vanilla", "  data_files: vanilla/train-*.parquet"]
    return [*lines, "---", ""]


def _option_rows(report: BuildReport) -> list[str]:
    asked = (
        {"model", "prompt", "window", "temperature", "top_p", "seed", "reasoning_budget"} if report.preview else set()
    )
    shown = {name: value for name, value in report.options.as_config().items() if name not in FREE | asked}
    for name in ("source", "tokenizer", "prompt"):  # folders of one machine say nothing to a reader
        if shown.get(name) and Path(shown[name]).exists():
            shown[name] = Path(shown[name]).name
    lines = ["| option | value |", "|---|---|"]
    return lines + [
        f"| `{name}` | {escaped(str(value))} |" for name, value in shown.items() if value not in (None, "", [], {})
    ]


def data_card(report: BuildReport, *, prompt: str) -> str:
    """The card as Markdown with YAML front matter.

    Args:
        report: of the build.
        prompt: version and hash of the summarizer's wording; "" where there was none.
    """
    options, funnel = report.options, report.funnel
    source = escaped(source_name(options.source))
    tokenizer = escaped(Path(options.tokenizer).name if Path(options.tokenizer).exists() else options.tokenizer)
    by = (
        "sentences picked from the segments, without a model"
        if report.preview
        else f"summaries by {escaped(report.model)}"
    )
    parts = _front(report)
    parts += [f"# InftyThink instances of {source}", ""]
    if report.preview:
        parts += [f"> **{PREVIEW}**", ""]
    parts += [
        f"{funnel.passed('instances'):,} training rows from {funnel.passed('examples'):,} chains of thought, for the"
        " method of [InftyThink](https://arxiv.org/abs/2503.06692) (Yan et al. 2025): each chain is cut into segments"
        f" of at most {options.eta:,} tokens; each row goes from the question and the summary so far to one segment and"
        " the next summary, or to the conclusion.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'rows = load_dataset("NAME_OR_FOLDER", "inftythink", split="train")',
    ]
    if options.vanilla:
        parts += ['whole = load_dataset("NAME_OR_FOLDER", "vanilla", split="train")  # the same chains uncut']
    parts += [
        "```",
        "",
        "## Columns",
        "",
        "`prompt` and `completion` are lists of messages as TRL's `SFTTrainer` takes them. `source` and `uuid` say"
        " which example a row is from, `epoch` and `epochs` which of how many segments it holds (0 and 1 for a whole"
        " chain), `eta` the bound (0 for a whole chain), `protocol` the version of the text format, `tokens` the length"
        " of each part and, as `total`, of the row as it is trained on.",
        "",
        "## Where it comes from",
        "",
        f"- Source: {source}" + (f", split {escaped(options.split)}" if options.split else "")
        + (f", revision {escaped(options.revision)}" if options.revision else ""),
        f"- Summaries: {by}" + (f", wording {prompt}" if prompt else ""),
        f"- Tokens counted by the tokenizer {tokenizer}",
        f"- Text format {PROTOCOL_VERSION}, built with inftythink-graph {__version__}",
        "- Licence: none is given here. Choose one that the source's licence and the terms of the summarizer's model"
        " allow, and name it at the head of this file.",
        "",
        "## What was left out",
        "",
        funnel.markdown(),
        "",
        "![histograms](histograms.png)",
        "",
        "More figures: `report.md`.",
        "",
        "## Options",
        "",
        *_option_rows(report),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"
