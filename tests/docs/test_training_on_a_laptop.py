"""'The same on a laptop' in docs/training.md: its commands run as they stand there and give what they are said to."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from snippets import clone

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
HEADING = "### The same on a laptop"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIXED = r'segments|instances|out |a preview|parameters|total|tokens, steps|\{"data"'
SERVE = "inftythink serve "


def _blocks() -> tuple[str, str]:
    """The section's commands, and the output that it shows."""
    text = (ROOT / "docs" / "training.md").read_text()
    assert text.count(HEADING) == 1
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    found = FENCE.findall(section)
    return tuple("".join(body for kind, body in found if (kind == "bash") == wanted) for wanted in (True, False))


def _words(text: str) -> set[str]:
    """The lines of an output, without differences in white space and frames."""
    return {" ".join(re.sub(r"[│╭╮╰╯─]+", " ", line).split()) for line in text.splitlines()}


def test_the_commands_of_the_documentation_run_and_give_what_it_says(tmp_path: Path) -> None:
    commands, shown = _blocks()
    serve = [line for line in commands.splitlines() if line.startswith(SERVE)]
    assert [line.split()[2] for line in serve] == ["runs/small/final"]
    script = "\n".join(line for line in commands.splitlines() if not line.startswith(SERVE))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=clone(tmp_path),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    # What doesn't depend on the machine is shown as it is: the data, and what they and the recipe come to.
    printed = _words(done.stdout)
    fixed = {line for line in _words(shown) if re.match(FIXED, line)}
    assert len(fixed) >= 7
    assert {
        line for line in fixed if not any(each.startswith(line.removesuffix(", ...}")) for each in printed)
    } == set()

    final = tmp_path / "runs" / "small" / "final"
    listed = shown.split()
    assert {path.name for path in final.iterdir()} <= set(listed)
    entries = [json.loads(line) for line in (final / "log.jsonl").read_text().splitlines()]
    judged = [entry for entry in entries if "eval_loss" in entry]
    solved = [entry["eval_generation_accuracy"] for entry in entries if "eval_generation_accuracy" in entry]
    assert len(judged) == len(solved) == 3
    assert judged[0]["eval_rows_right"] < 0.1
    assert judged[-1]["eval_rows_right"] > 0.8
    assert judged[-1]["eval_loss"] < judged[0]["eval_loss"] / 50
    assert solved[-1] >= 0.5
    assert "peak context" in done.stdout
    # The summaries have the form of the data that was built: a line of the chain.
    assert re.search(r"^epoch +1 .*-> .* = \d{3} left: \d{5} \+ 46 \(carry \d{4}\) = \d{5}", done.stdout, re.MULTILINE)
