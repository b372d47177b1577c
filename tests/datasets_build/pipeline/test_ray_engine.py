"""The engine for several machines, on a Ray of two workers: the same files as the local engine's, whatever happens."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_vllm import KEY, running
from rich.console import Console
from scripted_chat import ScriptedChat

from datasets_build.pipeline.build import BuildResult, build_dataset
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.progress import BuildCounts, BuildView
from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.journal import JournalWriteError, read_journal
from inftythink_graph.models import bundled_path

pytestmark = pytest.mark.integration

CONCURRENCY, WORKERS = 4, 2


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray of two workers on loopback; every build here uses it and leaves it running."""
    from datasets_build.pipeline import ray_engine  # before ray: it turns the usage statistics off

    ray = ray_engine.ray
    paths = [str(Path(__file__).parents[2] / "support"), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))  # where workers find the scripted model
        ray.init(
            "local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
            object_store_memory=1 << 27, _node_ip_address="127.0.0.1",
        )  # fmt: skip
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    yield
    assert ray.is_initialized()
    ray.shutdown()


class Quiet(BuildView):
    """Shows nothing and keeps the counts; ends the build like Ctrl-C after so many examples."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        super().__init__(Console(quiet=True))
        self.counts = BuildCounts()
        self._limit = interrupt_after

    def update(self, counts: BuildCounts) -> None:
        self.counts = counts
        if self._limit is not None and counts.done >= self._limit:
            self._limit = None
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Thirty examples; one is over budget, one is flaky, one is deadly, and two are the same but for their names."""
    rows = []
    for number in range(30):
        mark = {3: "(long)", 5: "(flaky)", 7: "(deadly)"}.get(number, "")
        subject = 8 if number == 9 else number
        steps = [f"Step {i} of row {subject}: add {i} and {subject}." for i in range(3 + subject % 5)]
        chain = "\n\n".join(steps)
        text = f"<think>\n{chain}\n</think>\n\nIt is \\boxed{{{subject}}}."
        rows.append({"uuid": f"row-{number}", "problem": f"What is row {subject}? {mark}", "generations": [text]})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"torn')
    return path


@pytest.fixture
def undisturbed(source: Path, tmp_path: Path) -> Path:
    """What the local engine makes of the source."""
    output = tmp_path / "undisturbed"
    (tmp_path / "local.log.killed").touch()  # nobody dies here
    build(source, output, ScriptedChat(log=str(tmp_path / "local.log")), engine="local")
    return output


def build(
    source: Path, output: Path, model: ScriptedChat | None, view: BuildView | None = None, **changes: Any
) -> BuildResult:
    small: dict[str, Any] = {"eta": 64, "summary_budget": 40, "max_length": 400, "shard_rows": 20, "backoff": 0.0}
    given: dict[str, Any] = {"tokenizer": str(bundled_path()), "concurrency": CONCURRENCY, "processes": WORKERS}
    engine = {"engine": "ray", "transport_tries": 1}
    options = BuildOptions(source=str(source), output=str(output), **{**small, **given, **engine, **changes})
    return build_dataset(options, model=model, view=view or Quiet())


def outcome_of(output: Path) -> dict[str, bytes]:
    """The bytes of all that must depend neither on the engine nor on interruptions."""
    names = [*sorted(output.glob("data/*")), *sorted(output.glob("vanilla/*"))]
    names += [output / name for name in ("funnel.json", "failed.jsonl", "report.json", "report.md", "README.md")]
    return {str(path.relative_to(output)): path.read_bytes() for path in names}


def requests_of(log: Path) -> list[str]:
    """The digests of the requests that began, in their order."""
    return [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []


def kept_requests(journal: Path) -> set[str]:
    """The digests of the requests whose replies are kept; the last line may be torn."""
    texts = [reply["text"] for _, reply in read_journal(journal)] if journal.exists() else []
    return {text.removeprefix("Known so far: ")[:12] for text in texts}


def test_both_engines_write_the_same_files(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    log, view = tmp_path / "log", Quiet()
    Path(f"{log}.killed").touch()
    result = build(source, tmp_path / "out", ScriptedChat(log=str(log), delay=0.05), view)
    assert result.complete
    assert outcome_of(tmp_path / "out") == outcome_of(undisturbed)
    assert len(outcome_of(tmp_path / "out")) > 9, "several shards of rows"
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "failed.jsonl").read_text().splitlines()]
    assert reasons == ["summary over budget"]
    assert sorted(requests_of(log)) == sorted(requests_of(tmp_path / "local.log")), (
        "each request once, the shared ones too"
    )
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == WORKERS
    counts = view.counts
    assert (counts.done, counts.failed, counts.under_way) == (29, 1, 0)
    assert (counts.paid_requests, counts.paid_tokens) == (len(requests_of(log)), 15 * len(requests_of(log)))
    assert counts.reused > 0, "two examples share their requests"
    assert counts.most_under_way <= 2 * (CONCURRENCY + WORKERS) + 1


def test_the_preview_needs_no_server_there_either(source: Path, tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        build(source, tmp_path / engine, None, engine=engine, limit=6)
    assert outcome_of(tmp_path / "ray") == outcome_of(tmp_path / "local")
    assert json.loads((tmp_path / "ray" / "funnel.json").read_text())["instances"]["passed"] > 6


def test_workers_ask_the_servers_themselves_with_the_build_s_key(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", KEY)  # here only: the workers were started without
    asked: dict[str, list[str]] = {}
    with running() as server:
        for engine in ("local", "ray"):
            server.requests.clear()
            server.keys.clear()
            assert build(source, tmp_path / engine, None, engine=engine, base_url=[server.url], limit=6).complete
            asked[engine] = sorted(json.dumps(body, sort_keys=True) for body in server.sent("/v1/chat/completions"))
            assert set(server.keys) == {f"Bearer {KEY}"}
    assert asked["ray"] == asked["local"]
    assert len(asked["ray"]) >= 4
    assert outcome_of(tmp_path / "ray") == outcome_of(tmp_path / "local")


def test_engines_take_turns_in_one_folder_and_repeat_no_request(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    turns: list[tuple[str, int | None]] = [("ray", 4), ("local", 4), ("ray", None)]
    for turn, (engine, limit) in enumerate(turns):
        log, kept = tmp_path / f"log{turn}", kept_requests(output / "journal" / "requests.jsonl")
        Path(f"{log}.killed").touch()
        model, view = ScriptedChat(log=str(log), delay=0.05), Quiet(limit)
        if limit is None:
            build(source, output, model, view, engine=engine)
        else:
            with pytest.raises(KeyboardInterrupt):
                build(source, output, model, view, engine=engine)
            assert not (output / "funnel.json").exists()
        assert requests_of(log)
        assert not kept & set(requests_of(log)), "a finished request was made again"
        assert turn == 0 or view.counts.kept >= 4
    assert outcome_of(output) == outcome_of(undisturbed)


def test_a_worker_that_is_killed_costs_no_example_and_no_finished_request(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    log, output, view = tmp_path / "log", tmp_path / "out", Quiet()
    journal = output / "journal" / "requests.jsonl"
    result = build(source, output, ScriptedChat(log=str(log), delay=0.02, journal=str(journal)), view)
    assert result.complete
    assert outcome_of(output) == outcome_of(undisturbed)
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == WORKERS + 1, "another took its place"
    begun = Counter(requests_of(log))
    kept = kept_requests(Path(f"{log}.killed"))
    assert kept
    assert all(begun[digest] == 1 for digest in kept), "a finished request was made again"
    again = [digest for digest, times in begun.items() if times > 1]
    assert 1 <= len(again) <= CONCURRENCY, "only what was under way in the worker that died"
    keys = [key for key, _ in read_journal(output / "journal" / "examples.jsonl")]
    assert len(keys) == len(set(keys)) == 30
    assert (view.counts.done, view.counts.failed, view.counts.under_way) == (29, 1, 0)


def test_a_server_that_goes_away_ends_the_run_and_costs_nothing(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    Path(f"{log}.killed").touch()
    with pytest.raises(ServerUnavailableError, match=r"no reply from model 1 .*run the same command again"):
        build(source, tmp_path / "out", ScriptedChat(log=str(log), down=True))
    assert build(source, tmp_path / "out", ScriptedChat(log=str(log))).complete
    assert outcome_of(tmp_path / "out") == outcome_of(undisturbed)


def test_a_full_disk_is_the_build_s_own_error_and_what_is_paid_for_stays(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., int] = os.pwrite
    room = 6000

    def full(file: int, data: bytes, offset: int) -> int:
        nonlocal room
        if room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        room -= len(data)
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    log = tmp_path / "log"
    Path(f"{log}.killed").touch()
    with pytest.raises(JournalWriteError, match="make room and run the same command again"):
        build(source, tmp_path / "out", ScriptedChat(log=str(log)))
    assert kept_requests(tmp_path / "out" / "journal" / "requests.jsonl")


def test_ctrl_c_ends_the_command_and_the_ray_that_it_started(tmp_path: Path) -> None:
    chain = "\n\n".join(f"Step {i}: add {i} to 7, which makes {i + 7}." for i in range(60))
    rows = [json.dumps({"question": f"Q{n}?", "response": f"<think>{chain}</think>So {n}."}) for n in range(300)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    words = [str(tmp_path / "rows.jsonl"), "--output", str(tmp_path / "out"), "--tokenizer", str(bundled_path())]
    words += ["--eta", "96", "--summary-budget", "48", "--max-length", "500", "--engine", "ray"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    child = subprocess.Popen(
        [sys.executable, "-m", "datasets_build.pipeline.cli", *words],
        env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = tmp_path / "out" / "journal" / "examples.jsonl"
    while child.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.1)
    family = psutil.Process(child.pid).children(recursive=True)
    assert any("raylet" in each.name() for each in family)
    os.killpg(child.pid, signal.SIGINT)
    _, error = child.communicate(timeout=120)
    assert child.returncode == 1
    assert error.splitlines()[-1].endswith("interrupted; what is finished is kept: run the same command again to go on")
    assert "Traceback" not in error
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    assert 0 < len(list(read_journal(journal))) < 300
