"""Pages of the documentation that talk to a server, against a real one that serves the bundled model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from snippets import commercial_model, needs_server, pages, run_page

from datasets_build.synthetic import generate, openr1_row
from inftythink_graph.serve import RunningServer


@pytest.mark.parametrize("page", [page for page in pages() if needs_server(page)])
def test_a_page_runs_on_a_server(
    page: str, vllm_server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The data set that the README builds of; docs/build-data.md shows how it is made.
    rows = (json.dumps(openr1_row(item)) for item in generate("collatz", 4, seed=0, min_steps=20, max_steps=60))
    (tmp_path / "chains.jsonl").write_text("\n".join([*rows, ""]))
    monkeypatch.chdir(tmp_path)
    with commercial_model() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert run_page(page, tmp_path, base_url=vllm_server.base_url) > 0
