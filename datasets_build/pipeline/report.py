"""What a build came to: the funnel, the figures of its data, the cost of its summaries, and the paper's figures beside.

The same data gives the same report, however often the build was interrupted; only the tokens that a server took from
its prefix cache depend on the day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from datasets_build.pipeline.distributions import Distribution, Figures
from datasets_build.pipeline.options import BuildOptions
from datasets_build.sources.funnel import Funnel
from datasets_build.sources.load import source_name
from inftythink_graph.plain_text import escaped

__all__ = ["PAPER", "PREVIEW", "BuildReport", "Paid", "paid_requests"]

PAPER: tuple[tuple[str, str, str], ...] = (
    ("source", "OpenR1-Math, about 220K chains", "accounts of its section 3.2"),
    ("eta", "4,096", "accounts of its section 3.2"),
    ("instances", "333K", "its abstract"),
    ("instances per example", "about 1.5", "333K of 220K"),
    ("summarizer", "Meta-Llama-3.3-Instruct", "the authors' project page"),
    ("tokens per summary", "not known", ""),
    ("compression ratio", "not known", ""),
)
"""Figures of Yan et al. 2025 (arXiv 2503.06692) for its stages I to III, and where they stand."""
_PAPER_ETA = 4096
PREVIEW = "A preview: the summaries are extracts, made without a model. Don't train on them."
"""Stands on everything that a preview writes."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What all replies of a build took together, in every run of it."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def paid_requests(replies: Iterable[dict[str, Any]]) -> Paid:
    """Add up the replies of a journal of requests."""
    totals = dict.fromkeys(Paid.__dataclass_fields__, 0)
    for reply in replies:
        for name in totals:
            totals[name] += reply["usage"][name]
    return Paid(**totals)


@dataclass(slots=True)
class BuildReport:
    """The outcome of a build.

    Attributes:
        options: of the build.
        funnel: what entered each stage and what was left out there.
        figures: of the data.
        paid: requests and tokens.
        model: name of the summarizer's model; "" without one.
    """

    options: BuildOptions
    funnel: Funnel
    figures: Figures = field(default_factory=Figures)
    paid: Paid = field(default_factory=Paid)
    model: str = ""

    @property
    def preview(self) -> bool:
        """Whether the summaries are extracts, which nothing should be trained on."""
        return self.options.summarizer_used == "extractive"

    @property
    def expansion(self) -> float | None:
        """InftyThink rows for each example that brings any; None where there are none."""
        examples = self.funnel.passed("examples")
        return self.funnel.passed("instances") / examples if examples else None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "preview": self.preview,
            "summarizer": self.model or self.options.summarizer_used,
            "funnel": self.funnel.as_json(),
            **self.figures.as_json(),
            "instances_per_example": None if self.expansion is None else round(self.expansion, 4),
            "requests": self.paid.as_json(),
            "paper": [{"figure": name, "value": value, "stated_in": where} for name, value, where in PAPER],
        }

    def comparison(self) -> list[tuple[str, str, str]]:
        """(figure, here, in the paper) for each figure of the paper."""
        figures = self.figures
        here = {
            "source": f"{source_name(self.options.source)}, {self.funnel.entered('examples'):,} chains",
            "eta": f"{self.options.eta:,}",
            "instances": f"{self.funnel.passed('instances'):,}",
            "instances per example": _shown(self.expansion),
            "summarizer": self.model or f"{self.options.summarizer_used}" + (" (preview)" if self.preview else ""),
            "tokens per summary": _shown(figures.summary_tokens.mean),
            "compression ratio": _shown(figures.compression),
        }
        return [(name, here[name], value + (f" ({where})" if where else "")) for name, value, where in PAPER]

    def markdown(self) -> str:
        """The report as a page."""
        figures, paid = self.figures, self.paid
        rows = [
            ("segments per example", figures.segments_per_example),
            ("segment", figures.segment_tokens),
            ("summary", figures.summary_tokens),
            ("InftyThink row", figures.instance_tokens),
            ("vanilla row", figures.vanilla_tokens),
        ]
        parts = ["# Report of the build", ""]
        if self.preview:
            parts += [f"**{PREVIEW}**", ""]
        parts += ["## Funnel", "", self.funnel.markdown(), "", "## Lengths", ""]
        parts += ["In tokens of the target model's tokenizer, but for the first line.", ""]
        parts += ["| | number | mean | min | 10% | 50% | 90% | 99% | max |", "|---|" + "---:|" * 8]
        parts += [_line(name, distribution) for name, distribution in rows if distribution.number]
        parts += ["", f"Compression ratio (summary over segment): {_shown(figures.compression)}", ""]
        parts += ["## Where segments end", "", "| place | segments | share |", "|---|---:|---:|"]
        whole = figures.cuts.total()
        parts += [f"| {cut} | {number:,} | {100 * number / whole:.1f}% |" for cut, number in figures.cuts.most_common()]
        parts += ["", "![histograms](histograms.png)", "", "## Summaries", ""]
        if paid.requests:
            share = f" ({100 * paid.cached_tokens / paid.prompt_tokens:.1f}%)" if paid.prompt_tokens else ""
            parts += [
                f"{paid.requests:,} requests by {escaped(self.model)}: {paid.prompt_tokens:,} prompt tokens,"
                f" {paid.cached_tokens:,} of them from the prefix cache{share}, {paid.completion_tokens:,} tokens"
                " written."
            ]
        else:
            parts += ["No request to a model was made."]
        if paid.requests and figures.attempts.number:
            parts += [f"{_shown(figures.attempts.mean)} replies for each summary."]
        parts += ["", "## Beside the paper", "", "Yan et al. 2025, arXiv 2503.06692.", ""]
        parts += ["| | this build | paper |", "|---|---|---|"]
        parts += [f"| {name} | {escaped(here)} | {there} |" for name, here, there in self.comparison()]
        if self.options.eta != _PAPER_ETA:
            parts += ["", f"The paper's numbers of instances hold for eta {_PAPER_ETA:,} only."]
        return "\n".join(parts) + "\n"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _line(name: str, distribution: Distribution) -> str:
    values = distribution.as_json()
    cells = [f"{values[key]:,}" for key in ("min", "p10", "p50", "p90", "p99", "max")]
    return f"| {name} | {values['number']:,} | {values['mean']:,.1f} | {' | '.join(cells)} |"
