"""The notebooks run as they stand, and show what they are there to show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from run_notebooks import NOTEBOOKS, execute, tidy

MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|work|Users|var)/|[A-Z]:\\\\")
LIMIT = 250_000  # bytes of a notebook


def printed(notebook: NotebookNode) -> str:
    """All that the code printed, and the values of its cells."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") != "stderr":
                texts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(text.rstrip("\n") for text in texts)


def pictures(notebook: NotebookNode) -> int:
    """How many pictures it shows."""
    return sum("image/png" in each.get("data", {}) for cell in notebook.cells for each in cell.get("outputs", []))


def number(text: str, label: str) -> float:
    """The number behind a label."""
    found = re.search(rf"{re.escape(label)}\W+([\d.]+)", text)
    assert found, f"no {label} in {text}"
    return float(found[1])


def check_quickstart(notebook: NotebookNode) -> None:
    text = printed(notebook)
    assert "10858 answered" in text
    assert number(text, "peak context") <= number(text, "window") < number(text, "tokens generated") / 4
    assert re.search(r"^answered: 552, \d+ requests$", text, re.MULTILINE)
    assert "several pieces of each part: True" in text
    assert text.count("| answered") == 2
    assert pictures(notebook) == 1


def check_agent_with_tool(notebook: NotebookNode) -> None:
    text = printed(notebook)
    assert re.search(r"^ai +I have thought it through.*19", text, re.MULTILINE)
    assert "19 answered" in text
    assert re.search(r"^tools +.*19", text, re.MULTILINE)


def check_chat_model_in_a_chain(notebook: NotebookNode) -> None:
    text = printed(notebook)
    assert "552" in text
    assert "'12'\n['12', '15', '32']" in text
    assert "[epoch 1, segment]" in text
    assert text.rindex("[answer]") > text.rindex(", segment]")
    assert "exhausted length" in text


def check_custom_verifier(notebook: NotebookNode) -> None:
    text = printed(notebook)
    assert "19 answered" in text
    assert "rejected, the answer must be even" in text
    ended = re.search(r"the run ends after epoch \d+: (\w+)", text)
    assert ended
    assert ended[1] != "answered"
    assert "17 answered ['17']\nanswered" in text


def check_from_data_to_model(notebook: NotebookNode) -> None:
    text = printed(notebook)
    losses = [float(each) for each in re.findall(r"held-out loss ([\d.]+)", text)]
    assert losses[-1] < losses[0] / 10
    assert "'inftythink.json'" in text
    before, after = (
        json.loads(re.search(rf"^{name} +(\{{.*\}})$", text, re.MULTILINE)[1].replace("'", '"'))  # type: ignore[index]
        for name in ("before", "after")
    )
    assert before["summaries that are lines"] < 0.2
    assert after["summaries that are lines"] > 0.5
    assert after["right"] >= after["of"] / 2


CHECKS: dict[str, Callable[[NotebookNode], None]] = {
    "quickstart": check_quickstart,
    "agent_with_tool": check_agent_with_tool,
    "chat_model_in_a_chain": check_chat_model_in_a_chain,
    "custom_verifier": check_custom_verifier,
    "from_data_to_model": check_from_data_to_model,
}


@pytest.mark.integration
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_as_it_stands(path: Path, tmp_path: Path) -> None:
    CHECKS[path.stem](execute(path, tmp_path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_is_a_run_of_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    CHECKS[path.stem](notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, 1 + len(code)))  # in one go, from the first cell on
    assert tidy(deepcopy(notebook)) == notebook
    assert not MACHINE.search(printed(notebook))
    assert path.stat().st_size < LIMIT


def test_every_notebook_is_checked() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(CHECKS)
