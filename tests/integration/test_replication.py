"""The replication in miniature goes the whole way, with a model that has learned nothing: docs/replication.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "replication.py"
REPORT = "import sys; from pathlib import Path; from replication import report; report(Path(sys.argv[1]), sys.argv[2:])"


def _run(*words: str) -> None:
    paths = os.pathsep.join([str(ROOT), str(SCRIPT.parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_model_is_trained_evaluated_and_reported(tmp_path: Path) -> None:
    words = [str(SCRIPT), "--only", "eta-50", "--quick", "--output", str(tmp_path)]
    _run(*words)
    assert (tmp_path / "eta-50" / "model" / "final" / "model.safetensors").exists()
    trials = {family: tmp_path / "eta-50" / family / "trials.jsonl" for family in ("gcd", "product")}
    lines = {family: path.read_text().splitlines() for family, path in trials.items()}
    assert {family: len(each) for family, each in lines.items()} == {"gcd": 8, "product": 8}

    # Said again, the command keeps what is there: a finished model isn't trained again, a trial isn't repeated.
    trained = (tmp_path / "eta-50" / "model" / "final" / "model.safetensors").stat().st_mtime_ns
    _run(*words)
    assert (tmp_path / "eta-50" / "model" / "final" / "model.safetensors").stat().st_mtime_ns == trained
    assert {family: path.read_text().splitlines() for family, path in trials.items()} == lines

    _run("-c", REPORT, str(tmp_path), "eta-50")
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [run["name"] for run in told["runs"]] == ["eta-50", "eta-50"]
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Accuracy by depth." in text
    assert "Accuracy by epochs allowed." in text
