"""Builds with a scripted summarizer: rows, options, a chat model that needs no server, and what came out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr
from rich.console import Console

from datasets_build.pipeline.build import BuildResult, build_dataset
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.progress import BuildCounts, BuildView
from inftythink_graph.journal import read_journal
from inftythink_graph.models import bundled_path

__all__ = [
    "ETA",
    "Quiet",
    "Summarizer",
    "build",
    "digest_of",
    "finished_requests",
    "options",
    "outcome_of",
    "row",
    "write_rows",
    "written",
]

ETA = 64


def row(number: int, paragraphs: int = 6, *, mark: str = "") -> dict[str, Any]:
    """A row whose chain has about three quarters as many segments as paragraphs; ``mark`` scripts the summarizer."""
    chain = "\n\n".join(f"Step {index} of row {number}: add {index} and {number}." for index in range(paragraphs))
    text = f"<think>\n{chain}\n</think>\n\nIt is \\boxed{{{number}}}."
    return {"uuid": f"row-{number}", "problem": f"What is row {number}? {mark}", "generations": [text]}


def write_rows(path: Path, rows: list[Any]) -> Path:
    """Write rows as JSON lines; a row that is text is written as it stands."""
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in rows))
    return path


def options(source: Path, output: Path, **changes: Any) -> BuildOptions:
    """Options for chains of this size."""
    small: dict[str, Any] = {"eta": ETA, "summary_budget": 40, "max_length": 400, "concurrency": 4, "backoff": 0.0}
    given = {"source": str(source), "output": str(output), "tokenizer": str(bundled_path()), **small, **changes}
    return BuildOptions(**given)


def digest_of(messages: list[BaseMessage], seed: int | None) -> str:
    """Eight digits that stand for a request."""
    text = json.dumps([[message.type, message.content] for message in messages] + [seed])
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:8]


def _note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


class Summarizer(BaseChatModel):
    """Answers each request with a text that names its digest; the same one always in the same way.

    The question scripts what goes wrong: ``(long)`` is always over budget, ``(flaky)`` is cut off at the first attempt,
    ``(down)`` gets no reply while ``down`` is set. ``log`` is a file with a line for every request that began.
    """

    model_name: str = "scripted"
    delay: float = 0.0
    down: bool = True
    always_down: bool = False
    log: str = ""
    _now: int = PrivateAttr(default=0)
    _most: int = PrivateAttr(default=0)
    _questions: list[str] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def most(self) -> int:
        """The most requests at a time."""
        return self._most

    @property
    def questions(self) -> list[str]:
        """For each request the first prompt's text."""
        return self._questions

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        raise NotImplementedError("the pipeline asks asynchronously")

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        digest, question = digest_of(messages, kwargs.get("seed")), str(messages[1].content)
        self._questions.append(question)
        if self.log:
            _note(Path(self.log), f"{os.getpid()} {digest}")
        self._now += 1
        self._most = max(self._most, self._now)
        try:
            # Replies come in another order than requests.
            await asyncio.sleep(self.delay * (1 + int(digest[-1])) / 5)
        finally:
            self._now -= 1
        if self.always_down or ("(down)" in question and self.down):
            raise ConnectionError("nobody there")
        text = f"Known so far: {digest}."
        reason = "length" if "(flaky)" in question and kwargs["seed"] == 0 else "stop"
        if "(long)" in question:
            text *= 20
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        message = AIMessage(text, usage_metadata=usage, response_metadata={"finish_reason": reason})
        return ChatResult(generations=[ChatGeneration(message=message)])


class Quiet(BuildView):
    """Shows nothing and keeps the counts; lines are in ``said``."""

    def __init__(self) -> None:
        super().__init__(Console(file=open(os.devnull, "w"), force_terminal=False))  # noqa: SIM115
        self.said: list[str] = []
        self.counts = BuildCounts()
        self.started = time.monotonic()

    def say(self, message: str) -> None:
        self.said.append(message)

    def start(self, counts: BuildCounts) -> None:
        self.counts = counts
        super().start(counts)


def written(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder of parquet files, in their order."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def build(source: Path, output: Path, model: Summarizer | None = None, **changes: Any) -> BuildResult:
    """A build with the scripted summarizer."""
    return build_dataset(options(source, output, **changes), model=model or Summarizer(), view=Quiet())


def outcome_of(output: Path) -> dict[str, bytes]:
    """The bytes of all that must not depend on how often a build was interrupted."""
    names = [*sorted(output.glob("data/*")), *sorted(output.glob("vanilla/*"))]
    names += [output / name for name in ("funnel.json", "failed.jsonl", "report.json", "README.md")]
    return {str(path.relative_to(output)): path.read_bytes() for path in names}


def finished_requests(output: Path) -> set[str]:
    """The digests of the requests whose replies are kept."""
    path = output / "journal" / "requests.jsonl"
    if not path.exists():
        return set()
    return {reply["text"].removeprefix("Known so far: ")[:8] for _, reply in read_journal(path)}
