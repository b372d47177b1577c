"""The snippets of docs/agents.md run, one after the other, and give what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from inftythink_graph.answers import extract_answer

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_snippets_run(capsys: pytest.CaptureFixture[str]) -> None:
    snippets = SNIPPET.findall(PAGE.read_text())
    assert len(snippets) == 4
    names: dict[str, Any] = {}
    printed = []
    for snippet in snippets:
        exec(compile(snippet, str(PAGE), "exec"), names)
        printed.append(capsys.readouterr().out)
    assert extract_answer(printed[0].splitlines()[0]) == "57"
    assert printed[0].splitlines()[2].startswith("answered ")
    assert printed[1].startswith("\n[segment 1] ")
    assert "[summary 1] " in printed[1]
    assert printed[1].endswith(names["answer"].text)
    assert printed[2].startswith("think_it_through {'question': ")
    assert names["result"].artifact["status"] == "answered"
    assert names["result"].artifact["usage"]["peak_context"] <= 256
    assert names["messages"][-1].text == "It is 57."
