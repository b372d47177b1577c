"""Every snippet of README.md and docs/ runs as it stands there, or says why it can't and is checked as far as it goes.

Pages that talk to a server run in tests/integration/test_snippets_on_vllm.py.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from command_lines import check, commands
from scripted_summarizer import Summarizer
from snippets import LANGUAGES, ROOT, Snippet, clone, commercial_model, needs_server, pages, run_page, snippets

NOT_EXECUTED = {
    "docs/agents.md": 2,
    "docs/checkpoints.md": 1,
    "README.md": 5,
    "docs/build-data.md": 6,
    "docs/evaluation.md": 2,
    "docs/faithful-training.md": 1,
    "docs/gpu-server.md": 2,
    "docs/parallel-paths.md": 1,
    "docs/quickstart.md": 1,
    "docs/replication.md": 1,
    "docs/running-many.md": 1,
    "docs/several-servers.md": 2,
    "docs/studio.md": 3,
    "docs/training-runs.md": 2,
    "docs/training.md": 4,
    "docs/web-chat.md": 1,
}
"""How many snippets of each page aren't run. Whoever raises a number says so here."""

ALL = [each for page in pages() for each in snippets(page)]
MARKED = [each for each in ALL if each.reason]
LOCAL = [page for page in pages() if any(each.executed for each in snippets(page)) and not needs_server(page)]


def _name(each: Snippet) -> str:
    return f"{each.page}:{each.line}"


def test_there_are_snippets_to_run() -> None:
    assert {"README.md", "docs/index.md"} <= {each.page for each in ALL if each.executed}


def test_every_block_says_what_it_is() -> None:
    assert not [_name(each) for each in ALL if each.language not in LANGUAGES]


def test_what_is_not_executed_is_counted() -> None:
    assert dict(Counter(each.page for each in MARKED)) == NOT_EXECUTED


@pytest.mark.parametrize("snippet", [each for each in ALL if each.test], ids=_name)
def test_a_snippet_that_another_test_executes_is_in_that_test(snippet: Snippet) -> None:
    assert Path(snippet.page).name in (ROOT / snippet.test).read_text()


@pytest.mark.integration
@pytest.mark.parametrize("page", LOCAL)
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"my_chat_model": Summarizer(script=["The steps so far have been checked."])}
    with commercial_model() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert run_page(page, tmp_path, given=given) > 0


@pytest.mark.integration
@pytest.mark.parametrize("snippet", MARKED, ids=_name)
def test_what_is_not_executed_can_at_least_be_read(
    snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clone(tmp_path)
    if snippet.language == "python":
        compile(snippet.text, snippet.page, "exec", dont_inherit=True)
        return
    subprocess.run(["bash", "-n", "-c", snippet.text], check=True)
    found = commands(snippet.text)
    assert found
    for command in found:
        check(command, tmp_path)


def test_commands_are_found_among_comments_pipes_and_variables() -> None:
    text = 'A=1 B="x y" inftythink solve "a # b" \\\n  --json > out.json &   # why\nmake demo | cat; ls'
    assert commands(text) == [["inftythink", "solve", "a # b", "--json"], ["make", "demo"], ["cat"], ["ls"]]


@pytest.mark.parametrize(
    "command",
    [
        "inftythink solve q --no-such",
        "inftythink serve bundled --no-such 1",
        "inftythink build-data rows.jsonl --no-such",
        "inftythink train --config RECIPE --no_such 1",
        "inftythink train --estimate --config RECIPE --gpus 8 --no_such 1",
        "python -m datasets_build.synthetic --no-such",
        "python examples/demo.py --no-such",
        "python examples/none.py",
        "accelerate launch --config_file sft/accelerate/none.yaml -m sft.train --config RECIPE",
        "accelerate launch --config_file sft/accelerate/ddp.yaml -m sft.train --config RECIPE --no_such 1",
        'pip install ".[no-such]"',
        "make no-such",
        "no-such-program",
    ],
)
@pytest.mark.integration
def test_a_command_that_cannot_be_meant_is_found_out(command: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(commands(command)[0], tmp_path)
