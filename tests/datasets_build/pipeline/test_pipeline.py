"""The pipeline: what comes out, how much is under way, and that nothing is lost, doubled or paid for twice."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import multiprocessing
import operator
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr
from rich.console import Console
from transformers import AutoTokenizer

from datasets_build.ordered_pool import ordered_map
from datasets_build.pipeline.build import BuildResult, build_dataset
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.progress import BuildCounts, BuildView, Rates, progress_line
from datasets_build.pipeline.records import DEFECTS, Built, Failed, read_outcome
from datasets_build.pipeline.row_counts import known_rows
from datasets_build.pipeline.shards import ShardWriter
from datasets_build.row_tokens import row_length
from datasets_build.summaries.journal import JournalBusyError, JournalWriteError, read_journal
from inftythink_graph.errors import InvalidInputError, ServerUnavailableError
from inftythink_graph.models import bundled_path
from inftythink_graph.protocol import parse

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
        message = AIMessage(text, usage_metadata=usage, response_metadata={"finish_reason": reason})  # type: ignore[arg-type]
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number, 3 + number % 7) for number in range(12)])


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_every_chain_comes_out_whole_in_order_and_within_its_limits(tmp_path: Path, source: Path) -> None:
    result = build(source, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(bundled_path())
    assert result.complete
    rows, whole = written(tmp_path / "out" / "data"), written(tmp_path / "out" / "vanilla")
    assert [each["uuid"] for each in whole] == [f"row-{number}" for number in range(12)]
    assert [each["uuid"] for each in rows] == sorted((each["uuid"] for each in rows), key=lambda uuid: int(uuid[4:]))
    for vanilla in whole:
        chain = parse(vanilla["completion"][0]["content"], "stop").segment
        parts = [each for each in rows if each["uuid"] == vanilla["uuid"]]
        assert [each["epoch"] for each in parts] == list(range(1, len(parts) + 1))
        parsed = [parse(each["completion"][0]["content"], "stop") for each in parts]
        assert "".join(chain.split()) == "".join("".join(each.segment for each in parsed).split())
        assert [each.kind for each in parsed] == ["summary"] * (len(parts) - 1) + ["conclusion"]
        for before, after in zip(parsed, parts[1:], strict=False):
            assert before.summary in after["prompt"][0]["content"], "each row goes on from the summary before"
    for each in rows:
        assert each["tokens"]["segment"] <= ETA
        assert each["tokens"]["total"] == row_length(each, tokenizer) <= 400
    funnel = result.report.funnel
    assert (funnel.passed("rows"), funnel.passed("examples"), funnel.passed("vanilla")) == (12, 12, 12)
    assert funnel.passed("segments") == funnel.passed("instances") == len(rows) > 24
    assert result.report.paid.requests == len(rows) - 12
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "config.yaml", "journal", "failed.jsonl", "data", "vanilla", "funnel.json", "report.md", "report.json",
        "histograms.png", "README.md",
    }  # fmt: skip
    assert not (tmp_path / "out" / "failed.jsonl").read_text()


def test_the_result_loads_as_a_data_set_with_two_configurations(tmp_path: Path, source: Path) -> None:
    from datasets import load_dataset

    result = build(source, tmp_path / "out", shard_rows=5)
    for name, stage in (("inftythink", "instances"), ("vanilla", "vanilla")):
        rows = load_dataset(str(tmp_path / "out"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(rows) == result.report.funnel.passed(stage)
        assert {"prompt", "completion", "tokens"} <= set(rows.column_names)


def test_the_trainer_reads_the_rows_and_finds_them_as_long_as_they_say(tmp_path: Path, source: Path) -> None:
    from sft.arguments import DataArguments
    from sft.data import load_rows, tokenized_dataset

    build(source, tmp_path / "out", shard_rows=5)
    tokenizer = AutoTokenizer.from_pretrained(bundled_path())
    arguments = DataArguments(dataset=str(tmp_path / "out" / "data" / "train-*.parquet"))
    rows, funnel = tokenized_dataset(load_rows(arguments, lambda texts: []), tokenizer, 400)
    lengths = [each["tokens"]["total"] for each in written(tmp_path / "out" / "data")]
    assert sorted(map(len, rows["input_ids"])) == sorted(lengths)
    assert funnel["rows too long"] == 0


def test_bad_rows_are_counted_by_reason_and_end_nothing(tmp_path: Path) -> None:
    good = row(0)
    text = good["generations"][0]
    rows: list[Any] = [
        good,
        {"problem": "no generations"},
        {**row(1), "generations": [None]},
        {**row(2), "generations": 7},
        {**row(3), "problem": ["not", "text"]},
        {**row(4), "generations": ["<think>never closed"]},
        {**row(5), "generations": [f"<think>{text}"]},
        {**row(6), "generations": ["<think></think>It is 6."]},
        {**row(7), "generations": ["<think>" + "\u00e9" * 50 + "</think>It is 7."]},
        row(8, mark="(long)"),
        json.dumps(row(9))[:40],
    ]
    result = build(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out", eta=1, summary_budget=1)
    assert result.report.funnel.lost("examples", "can't be cut") == 1, "a character of two tokens"
    result = build(tmp_path / "rows.jsonl", tmp_path / "other")
    funnel = result.report.funnel
    assert funnel.losses("rows") == {
        "empty chain": 1, "generation is not text": 1, "incomplete chain": 1, "invalid JSON line": 1,
        "nested or repeated think tags": 1, "null generation": 1, "question is not text": 1, "unknown columns": 1,
    }  # fmt: skip
    assert funnel.losses("examples") == {"summary over budget": 1}
    assert funnel.passed("examples") == 2
    (failed,) = map(json.loads, (tmp_path / "other" / "failed.jsonl").read_text().splitlines())
    assert (failed["uuid"], failed["reason"], failed["segment"]) == ("row-8", "summary over budget", 1)
    assert "over budget" in failed["detail"]


def test_nothing_longer_than_the_training_length_is_written(tmp_path: Path, source: Path) -> None:
    results = {mode: build(source, tmp_path / mode, max_length=120, too_long=mode) for mode in ("example", "row")}
    for mode, result in results.items():
        rows = written(tmp_path / mode / "data")
        funnel = result.report.funnel
        assert all(each["tokens"]["total"] <= 120 for each in rows)
        assert funnel.entered("instances") - funnel.lost("instances") == len(rows)
        assert funnel.lost("instances", "longer than the training length")
    assert len(written(tmp_path / "example" / "data")) < len(written(tmp_path / "row" / "data"))


def test_a_build_without_rows_still_has_files_that_load(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(0), "generations": ["<think>open"]}])
    result = build(source, tmp_path / "out")
    assert result.report.funnel.passed("instances") == 0
    assert written(tmp_path / "out" / "data") == []
    assert pq.read_schema(tmp_path / "out" / "data" / "train-00000.parquet").names[:2] == ["prompt", "completion"]


def test_shards_have_a_bounded_number_of_rows_and_are_replaced_as_a_whole(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out", shard_rows=4)
    rows = written(tmp_path / "out" / "data")
    sizes = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "out" / "data").iterdir())]
    assert sizes[:-1] == [4] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= 4
    with pytest.raises(KeyError), ShardWriter(tmp_path / "out" / "data", 4) as writer:
        writer.add(rows[index] if index < 9 else {}["gone"] for index in range(10))  # type: ignore[misc]
    assert written(tmp_path / "out" / "data") == rows
    assert not list((tmp_path / "out").glob(".*"))


# --- how much is under way --------------------------------------------------------------------------------------------


def test_requests_and_examples_under_way_are_bounded(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, 4) for number in range(80)])
    model, view = Summarizer(delay=0.001), Quiet()
    build_dataset(options(source, tmp_path / "out", concurrency=3), model=model, view=view)
    assert 1 < model.most <= 3
    # working, waiting in the queue, and one in the hands of the reader
    assert 3 <= view.counts.most_under_way <= 3 + 3 + 2
    assert (view.counts.done, view.counts.under_way) == (80, 0)


def test_each_example_stays_on_one_endpoint_and_all_have_work(tmp_path: Path, source: Path) -> None:
    models = [Summarizer(delay=0.002), Summarizer(delay=0.002)]
    build_dataset(options(source, tmp_path / "out"), model=models, view=Quiet())
    asked = [{question.partition("?")[0] for question in model.questions} for model in models]
    assert not asked[0] & asked[1]
    assert all(len(each) >= 3 for each in asked)


def test_another_endpoint_takes_over_where_one_is_gone(tmp_path: Path, source: Path) -> None:
    gone, there = Summarizer(always_down=True), Summarizer(delay=0.001)
    result = build_dataset(options(source, tmp_path / "out", transport_tries=1), model=[gone, there], view=Quiet())
    assert result.complete
    assert result.report.funnel.passed("examples") == 12
    assert len(gone.questions) <= 4, "one that gives no reply is left alone for a while"
    build(source, tmp_path / "one")
    assert written(tmp_path / "out" / "data") == written(tmp_path / "one" / "data")


def test_processes_change_nothing_but_the_time(tmp_path: Path) -> None:
    items = list(range(40))
    assert list(ordered_map(partial, (operator.add, 3), items, processes=2)) == [each + 3 for each in items]
    taken = 0

    def counted() -> Iterator[int]:
        nonlocal taken
        for each in items:
            taken += 1
            yield each

    results = ordered_map(partial, (operator.add, 3), counted(), processes=2)
    next(results)
    assert taken <= 9
    results.close()


# --- going on ---------------------------------------------------------------------------------------------------------


def _killable(source: Path, output: Path, log: Path) -> None:
    build(source, output, Summarizer(delay=0.01, log=str(log)))


def test_a_build_killed_at_any_moment_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    marks = {3: "(flaky)", 5: "(long)"}
    rows = [row(number, 3 + number % 6, mark=marks.get(number, "")) for number in range(24)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    start = time.monotonic()
    build(source, tmp_path / "undisturbed", Summarizer(delay=0.01))
    seconds = time.monotonic() - start
    context, log, drawn = multiprocessing.get_context("fork"), tmp_path / "log", random.Random(7)
    killed = 0
    for moment in range(5):
        finished = finished_requests(tmp_path / "out")
        log.unlink(missing_ok=True)
        child = context.Process(target=_killable, args=(source, tmp_path / "out", log))
        child.start()
        child.join(seconds * drawn.uniform(0.1, 0.9) if moment < 4 else 120)
        if child.exitcode is None:
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
            killed += 1
        asked = [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []
        assert not finished & set(asked), "a finished request was made again"
        assert max(Counter(asked).values(), default=1) == 1
    assert killed, "no run was killed: the moments are too late"
    assert child.exitcode == 0
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "undisturbed")


def test_a_finished_build_is_written_again_without_a_request(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    before = outcome_of(tmp_path / "out")
    model = Summarizer()
    build(source, tmp_path / "out", model)
    assert (model.questions, outcome_of(tmp_path / "out")) == ([], before)


def test_what_got_no_reply_is_tried_again_and_what_was_rejected_only_if_asked(tmp_path: Path) -> None:
    marks = {1: "(down)", 2: "(long)"}
    source = write_rows(tmp_path / "rows.jsonl", [row(number, mark=marks.get(number, "")) for number in range(4)])
    first = build(source, tmp_path / "out", transport_tries=1)
    assert (first.unanswered, first.complete) == (1, False)
    assert first.report.funnel.losses("examples") == {DEFECTS["transport"]: 1, "summary over budget": 1}
    again = Summarizer(down=False)
    second = build(source, tmp_path / "out", again)
    assert second.complete
    assert {question.partition("?")[0][-1] for question in again.questions} == {"1"}
    retried = Summarizer(down=False)
    build(source, tmp_path / "out", retried, retry_failed=True, max_attempts=6)
    assert {question.partition("?")[0][-1] for question in retried.questions} == {"2"}
    assert len(retried.questions) == 2, "four of the six attempts were paid for already"


def test_a_server_that_goes_away_ends_the_run_and_costs_nothing(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ServerUnavailableError, match=r"no reply from model 1 .*run the same command again"):
        build(source, tmp_path / "out", Summarizer(always_down=True), transport_tries=1)
    result = build(source, tmp_path / "out")
    assert result.complete
    build(source, tmp_path / "undisturbed")
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "undisturbed")


def test_a_full_disk_is_one_line_and_what_is_paid_for_stays(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., int] = os.pwrite
    written_bytes = 0

    def full(file: int, data: bytes, offset: int) -> int:
        nonlocal written_bytes
        if written_bytes > 6000:
            raise OSError(errno.ENOSPC, "No space left on device")
        written_bytes += len(data)
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalWriteError, match="make room and run the same command again"):
        build(source, tmp_path / "out")
    monkeypatch.undo()
    finished = finished_requests(tmp_path / "out")
    assert finished
    log = tmp_path / "log"
    build(source, tmp_path / "out", Summarizer(log=str(log)))
    assert not finished & {line.split()[1] for line in log.read_text().splitlines()}
    build(source, tmp_path / "undisturbed")
    assert outcome_of(tmp_path / "out") == outcome_of(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"eta": 50}, "eta was 64, now 50"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"selection": "all"}, "selection was None, now 'all'"),
        ({"window": 5000}, "window was None, now 5000"),
    ],
)
def test_another_configuration_in_the_same_folder_is_refused(
    tmp_path: Path, source: Path, changes: dict[str, Any], difference: str
) -> None:
    build(source, tmp_path / "out")
    before = outcome_of(tmp_path / "out")
    with pytest.raises(InvalidInputError, match=f"{difference}.*another output folder"):
        build(source, tmp_path / "out", **changes)
    assert outcome_of(tmp_path / "out") == before


def test_options_that_no_example_depends_on_may_change(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out", limit=4)
    model = Summarizer()
    result = build(source, tmp_path / "out", model, concurrency=1, limit=6, max_attempts=5)
    assert result.report.funnel.passed("examples") == 6
    assert {question.partition("?")[0][-1] for question in model.questions} == {"4", "5"}


def test_rows_are_written_anew_where_only_their_form_changes(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    model, view = Summarizer(), Quiet()
    changed = options(source, tmp_path / "out", history="assistant", vanilla=False)
    build_dataset(changed, model=model, view=view)
    assert not model.questions
    assert any("history was 'user', now 'assistant'" in line for line in view.said)
    assert {each["prompt"][-1]["role"] for each in written(tmp_path / "out" / "data")} == {"user", "assistant"}
    assert not (tmp_path / "out" / "vanilla").exists()


def test_a_source_that_changed_brings_its_examples_as_they_are_now(tmp_path: Path, source: Path) -> None:
    build(source, tmp_path / "out")
    write_rows(source, [row(0), {**row(1), "problem": "What else?"}])
    build(source, tmp_path / "out")
    assert [each["prompt"][0]["content"] for each in written(tmp_path / "out" / "vanilla")][1] == "What else?"
    assert len(written(tmp_path / "out" / "vanilla")) == 2


def test_an_output_folder_that_is_none_is_refused_before_anything_is_written(tmp_path: Path, source: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"holds other things \(rows.jsonl"):
        build(source, tmp_path)
    with pytest.raises(InvalidInputError, match="is a file"):
        build(source, source)
    with pytest.raises(InvalidInputError, match="no column 'nothing'"):
        build(source, tmp_path / "out", columns={"answer": "nothing"})
    with pytest.raises(InvalidInputError, match="tokenizer '/no/such' can't be loaded"):
        build(source, tmp_path / "out", tokenizer="/no/such")
    assert not (tmp_path / "out").exists()


def test_two_builds_never_write_the_same_folder(tmp_path: Path, source: Path) -> None:
    class Nested(Quiet):
        def start(self, counts: BuildCounts) -> None:
            with pytest.raises(JournalBusyError):
                build(source, tmp_path / "out")
            super().start(counts)

    build_dataset(options(source, tmp_path / "out"), model=Summarizer(), view=Nested())


async def test_it_runs_inside_a_running_event_loop_as_notebooks_have_one(tmp_path: Path, source: Path) -> None:
    assert build(source, tmp_path / "out").complete


# --- records and progress ---------------------------------------------------------------------------------------------


def test_records_are_what_they_were(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(0), row(1, mark="(long)")])
    build(source, tmp_path / "out")
    values = [value for _, value in read_journal(tmp_path / "out" / "journal" / "examples.jsonl")]
    outcomes = [read_outcome(value) for value in values]
    assert {type(each) for each in outcomes} == {Built, Failed}
    assert [json.loads(json.dumps(each.as_json())) for each in outcomes] == values
    with pytest.raises(ValueError, match="no record of an example"):
        read_outcome({"other": 1})


def test_progress_says_rates_and_time_left(tmp_path: Path, source: Path) -> None:
    counts, rates = BuildCounts(total_rows=100, kept=3, done=7, paid_requests=5, reused=2), Rates()
    counts.funnel.enter("rows", 10)
    rates.note(0.0, 0, 0)
    rates.note(20.0, 10, 400)
    line = progress_line(counts, rates)
    assert "rows 10 of 100 (0.5/s)" in line
    assert "examples 10 (3 from before)" in line
    assert "5 (20 tokens/s), 2 from the cache" in line
    assert "0:03:00 left" in line


def test_the_number_of_rows_is_known_without_reading_them(tmp_path: Path, source: Path) -> None:
    assert known_rows(options(source, tmp_path).source_options()) == 12
    assert known_rows(options(source, tmp_path, limit=5).source_options()) == 5
    build(source, tmp_path / "out")
    parquet = tmp_path / "out" / "vanilla" / "train-00000.parquet"
    assert known_rows(options(parquet, tmp_path).source_options()) == 12
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(b"")
    assert known_rows(options(packed, tmp_path).source_options()) is None
