"""Built-in tasks as ``datasets`` reads them: from the cache of this machine, offline, and gated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasets")

from inftythink_graph.evaluation.sources import HUB_TASKS

ROWS = [
    {
        "problem": f"Problem {i}",
        "solution": "long",
        "answer": str(i),
        "subject": "Algebra",
        "level": 1,
        "unique_id": f"t/{i}",
    }
    for i in range(3)
]

# What a download leaves in the cache: one folder for each commit, with the rows and what is known of them.
FILL = """
import json, pathlib, sys
import datasets
from datasets.arrow_writer import ArrowWriter
rows, folder = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])
folder.mkdir(parents=True)
features = datasets.Dataset.from_list(rows).features
with ArrowWriter(path=str(folder / "math-500-test.arrow"), features=features) as writer:
    for row in rows:
        writer.write(row)
    examples, size = writer.finalize()
split = {"name": "test", "num_bytes": size, "num_examples": examples, "dataset_name": "math-500"}
datasets.DatasetInfo(
    features=features, dataset_name="math-500", config_name="default", version="0.0.0", splits={"test": split}
).write_to_directory(str(folder))
"""
LOAD = """
import json, sys
from inftythink_graph.evaluation.tasks import load_task
from inftythink_graph.errors import InvalidInputError
try:
    task = load_task(sys.argv[1])
    print(json.dumps([task.source, task.revision, [[q.id, q.gold, q.meta] for q in task.questions]]))
except InvalidInputError as error:
    print(json.dumps(str(error)))
"""


def _run(code: str, home: Path, *args: str, **environment: str) -> Any:
    env = {**os.environ, "HF_HOME": str(home), "HF_DATASETS_CACHE": str(home), **environment}
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None


def _cached(home: Path, commit: str) -> None:
    _run(FILL, home, json.dumps(ROWS), str(home / "HuggingFaceH4___math-500" / "default" / "0.0.0" / commit))


def test_the_pinned_copy_in_the_cache_is_read_offline(tmp_path: Path) -> None:
    pinned = HUB_TASKS["math500"].revision
    _cached(tmp_path, pinned)
    source, revision, questions = _run(LOAD, tmp_path, "math500")
    assert (source, revision) == ("HuggingFaceH4/MATH-500", pinned)
    assert questions == [[f"t/{i}", str(i), {"subject": "Algebra", "level": 1}] for i in range(3)]


def test_a_copy_of_another_commit_is_not_taken_for_the_pinned_one(tmp_path: Path) -> None:
    """Offline, ``datasets`` reads the newest copy that it has, whatever revision was asked for."""
    _cached(tmp_path, "0" * 40)
    message = _run(LOAD, tmp_path, "math500")
    assert f"is of commit {'0' * 40}, not of {HUB_TASKS['math500'].revision}" in message
    assert "math500=FILE.jsonl" in message


@pytest.mark.parametrize("task", ["math500", "gpqa_diamond"])
def test_offline_names_the_way_out(tmp_path: Path, task: str) -> None:
    message = _run(LOAD, tmp_path, task)
    assert message.startswith(f"the data set {HUB_TASKS[task].name} can't be read: ")
    assert f"give a local file, {task}=FILE.jsonl" in message
    assert ("hf auth login" in message) == (task == "gpqa_diamond")
    assert "\n" not in message


@pytest.fixture
def gate() -> Iterator[str]:
    """The address of a server that hands out nothing without consent, in the hub's own words."""

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("X-Error-Message", "Access to this dataset is restricted. Please log in.")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_gated_data_set_says_how_to_get_it(tmp_path: Path, gate: str) -> None:
    message = _run(LOAD, tmp_path, "gpqa_diamond", HF_ENDPOINT=gate, HF_HUB_OFFLINE="0", HF_DATASETS_OFFLINE="0")
    assert "gated dataset" in message
    assert "accept its conditions" in message
    assert "`hf auth login`" in message
    assert "gpqa_diamond=FILE.jsonl" in message
