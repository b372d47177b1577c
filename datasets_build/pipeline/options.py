"""Every option of a build: where from, what is taken, how it is cut and summarized, what is written.

A recipe is a YAML mapping of these options; the command line overrides it. Whatever is neither is an error that names
the nearest option that there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from datasets_build.instances import TooLong
from datasets_build.segmentation.segment import Mode
from datasets_build.sources.examples import Selection, Verifier
from datasets_build.sources.layouts import check_roles, parse_columns
from datasets_build.sources.load import SourceOptions
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import Protocol
from inftythink_graph.recipes import check_fields, check_keys, load_recipe
from inftythink_graph.redaction import shown_url

__all__ = ["ABOUT", "FREE", "SHAPING", "BuildOptions", "Engine", "Summarizer", "read_options"]

Summarizer = Literal["extractive", "vllm", "chat_model"]
"""Who writes the summaries: sentences picked without a model (a preview), a vLLM server, or a model given in Python."""
Engine = Literal["local", "ray"]
"""Where the stages run: in this process and its children, or on the machines of a Ray cluster."""

FREE = frozenset(
    {"output", "limit", "streaming", "engine", "ray_address", "concurrency", "processes", "push_to_hub", "private"}
    | {"dry_run", "base_url", "api_key", "timeout", "transport_tries", "backoff", "max_attempts", "retry_failed"}
)
"""Options that may differ from one run in an output folder to the next: no example that is finished depends on them."""
SHAPING = frozenset({"history", "max_length", "too_long", "vanilla", "shard_rows"})
"""Options that only say how rows are written: they may differ as well, all rows are then written anew.

Examples that were left out before their summaries, for the length of a row, are then looked at again.
"""


ABOUT: Mapping[str, Mapping[str, str]] = {
    "source": {
        "source": "a Hugging Face data set, or a local file, folder or pattern (jsonl, parquet)",
        "split": "split of the data set (default: the only one, or train)",
        "dataset_config": "configuration of a Hugging Face data set",
        "revision": "branch, tag or commit of a Hugging Face data set",
        "streaming": "read while downloading, instead of downloading first",
        "limit": "most rows that are read (default: all)",
        "selection": "which generations of a row (default: first_verified where the data set says what is correct)",
        "verifier": "who says that a generation is correct",
        "correct": "leave out what isn't verified as correct",
        "complete": "leave out what isn't marked as complete",
        "min_chars": "fewest characters of a chain",
        "max_chars": "most characters of a chain",
        "system": "system prompts",
        "layout": "layout of the rows; auto finds it",
        "columns": "columns by role, as question=NAME,generation=NAME",
    },
    "segments": {
        "tokenizer": "the target model's tokenizer: a name or a folder",
        "eta": "most tokens of a segment",
        "mode": "greedy fills segments; optimal cuts where thoughts end",
    },
    "summaries": {
        "summarizer": "vllm asks a server; extractive is a preview without one (default: vllm with a base URL)",
        "base_url": "the server's address that ends in /v1; repeat it for several",
        "model": "the served name (default: the only one that is served)",
        "api_key": "key of the server (default: $VLLM_API_KEY or $OPENAI_API_KEY)",
        "prompt": "file with the summarizer's wording (default: the package's own)",
        "summary_budget": "most tokens of a summary",
        "window": "tokens that the summarizer may see (default: the server's)",
        "temperature": "sampling temperature",
        "top_p": "nucleus of the sampling",
        "seed": "seed of the sampling",
        "max_attempts": "most replies for one summary",
        "reasoning_budget": "tokens that a reasoning summarizer may think",
        "transport_tries": "most tries of a request that gets no reply",
        "backoff": "seconds that the first wait after a failed try takes at most",
        "timeout": "seconds that one request may take",
        "retry_failed": "try examples again whose summaries were rejected; needs more --max-attempts than before",
    },
    "instances": {
        "history": "turn that holds the summary",
        "max_length": "most tokens of a training row, by the tokenizer",
        "too_long": "left out where a row is too long: its whole example, or the row",
        "vanilla": "write the same chains uncut as well, for a baseline",
    },
    "output": {
        "output": "the folder to build in; a build that was interrupted goes on there",
        "shard_rows": "rows of one parquet file",
        "engine": "where the stages run: local is this machine, ray a Ray cluster or a local Ray",
        "ray_address": "address of the Ray cluster (default: $RAY_ADDRESS, or a local Ray of its own)",
        "processes": "processes that cut chains and count tokens; with ray, on all machines together",
        "concurrency": "examples that are summarized at a time; with ray, on all machines together",
        "push_to_hub": "name of the data set on Hugging Face to upload the result to",
        "private": "make that data set a private one",
        "dry_run": "read and cut a sample, print funnel and expected costs, write nothing",
    },
}
"""What each option means, in groups; ``inftythink build-data --help`` prints it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """The options of a build; their meanings are in :data:`ABOUT`.

    Raises:
        InvalidInputError: a value is outside what is allowed, or two don't go together.
    """

    source: str = ""
    split: str | None = None
    dataset_config: str | None = None
    revision: str | None = None
    streaming: bool = True
    limit: int | None = None
    selection: Selection | None = None
    verifier: Verifier = "fallback"
    correct: bool | None = None
    complete: bool | None = None
    min_chars: int = 1
    max_chars: int | None = None
    system: Literal["keep", "drop"] = "keep"
    layout: str = "auto"
    columns: dict[str, str] = field(default_factory=dict)

    tokenizer: str = ""
    eta: int = 4096
    mode: Mode = "greedy"

    summarizer: Summarizer | None = None
    base_url: list[str] = field(default_factory=list, repr=False)
    model: str = ""
    api_key: str | None = field(default=None, repr=False)
    prompt: str | None = None
    summary_budget: int = 512
    window: int | None = None
    temperature: float = 0.3
    top_p: float | None = None
    seed: int | None = 0
    max_attempts: int = 4
    reasoning_budget: int = 0
    transport_tries: int = 8
    backoff: float = 1.0
    timeout: float = 600.0
    retry_failed: bool = False

    history: Literal["user", "assistant"] = "user"
    max_length: int = 16384
    too_long: TooLong = "example"
    vanilla: bool = True

    output: str = ""
    shard_rows: int = 20_000
    engine: Engine = "local"
    ray_address: str | None = None
    processes: int = 1
    concurrency: int = 64
    push_to_hub: str | None = None
    private: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        ones = "eta summary_budget window max_attempts transport_tries max_length shard_rows processes concurrency"
        lowest: dict[str, float] = {**dict.fromkeys(ones.split(), 1), "backoff": 0, "timeout": 0.001}
        check_fields(self, {**lowest, "temperature": 0, "reasoning_budget": 0})
        for name, what in (("source", "the data set to read"), ("tokenizer", "the target model's tokenizer")):
            if not getattr(self, name):
                raise InvalidInputError(f"{name} is missing: name {what}")
        if not self.output and not self.dry_run:
            raise InvalidInputError("output is missing: name the folder to build in")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InvalidInputError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.max_length <= self.eta:
            raise InvalidInputError(
                f"max_length must be above eta ({self.eta}), or no full segment fits into a row; got {self.max_length}"
            )
        if self.summarizer == "extractive" and self.base_url:
            raise InvalidInputError("summarizer 'extractive' asks no server: leave base_url out, or take 'vllm'")
        check_roles(self.columns)
        self.source_options()  # checks the rest

    @property
    def summarizer_used(self) -> Summarizer:
        """The summarizer, with the default filled in."""
        return self.summarizer or ("vllm" if self.base_url else "extractive")

    def source_options(self) -> SourceOptions:
        """The part that says what is read."""
        same = {item.name for item in fields(SourceOptions)} & {item.name for item in fields(BuildOptions)}
        shared = {name: getattr(self, name) for name in same}
        return SourceOptions(name=self.source, config=self.dataset_config, **shared)

    def protocol(self) -> Protocol:
        """The text format of the rows."""
        return Protocol(kind="native", history=self.history)

    def as_config(self) -> dict[str, Any]:
        """The options as plain values, defaults filled in; a key of a server is never among them."""
        hidden = {"api_key", "dry_run", "retry_failed"}
        values = {name: value for name, value in asdict(self).items() if name not in hidden}
        return {**values, "base_url": [shown_url(url) for url in self.base_url], "summarizer": self.summarizer_used}


def read_options(given: Mapping[str, Any], recipe: str | Path | None = None) -> BuildOptions:
    """Options from a recipe and from what overrides it.

    Args:
        given: options by name.
        recipe: a YAML file with options by name.

    Raises:
        InvalidInputError: a key is unknown (the message names the nearest one), or a value is not allowed.
    """
    known = [item.name for item in fields(BuildOptions)]
    values: dict[str, Any] = {}
    if recipe is not None:
        try:
            values = load_recipe(recipe)
        except FileNotFoundError as error:
            raise InvalidInputError(f"there is no recipe {recipe}") from error
        check_keys(values, known, f"recipe {recipe}", f"allowed: {', '.join(known)}")
    check_keys(given, known, "the options", f"allowed: {', '.join(known)}")
    values = {**values, **given}
    if isinstance(values.get("columns"), str):
        values["columns"] = parse_columns(values["columns"])
    return BuildOptions(**values)
