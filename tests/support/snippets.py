"""The snippets of README.md and docs/: finding them, running them, and what stands in for what isn't here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_vllm import FakeVLLM, running

from inftythink_graph.models import bundled_path

__all__ = [
    "LANGUAGES",
    "MARK",
    "ROOT",
    "SERVER",
    "Snippet",
    "clone",
    "commercial_model",
    "needs_server",
    "pages",
    "run_page",
    "snippets",
]

ROOT = Path(__file__).parents[2]
SERVER = "http://127.0.0.1:8000/v1"
"""The address that all pages give; a snippet that names it is run against a real vLLM server."""
LANGUAGES = {"python", "bash", "console", "text", "mermaid", "yaml", "json"}
MARK = re.compile(r"<!-- (not executed: (?P<reason>\S.*)|executed by (?P<test>tests/[\w./]+\.py)) -->\Z")

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_IN_CLONE = ("inftythink_graph", "datasets_build", "sft", "examples", "benchmarks", "Makefile", "langgraph.json")
_STAND_INS = {
    # Questions and tokenizers of large models, for the bundled one.
    "How many positive integers n < 1000 have exactly 12 divisors?": "Multiply 12 by 5 by repeated addition.",
    "Qwen/Qwen2.5-Math-7B-Instruct": str(bundled_path()),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fenced block.

    Attributes:
        page: the page's path in the repository.
        line: of the opening fence, 1-based.
        language: as the fence says; "" where it says none.
        text: what is between the fences, without the fence's indentation.
        reason: why it isn't executed; "" where it is.
        test: the test that executes it instead; "".
    """

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    test: str = ""

    @property
    def executed(self) -> bool:
        """Whether it is run here."""
        return self.language in ("python", "bash", "console") and not self.reason and not self.test


def pages() -> list[str]:
    """README.md and all pages of docs/, as paths in the repository."""
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def snippets(page: str) -> list[Snippet]:
    """All fenced blocks of a page, in order."""
    content = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(content):
        mark = MARK.search(content[: fence.start()].rstrip())
        body = re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)
        if fence["language"] == "console":
            body = "\n".join(line[2:] for line in body.splitlines() if line.startswith("$ "))
        found.append(
            Snippet(
                page=page,
                line=content.count("\n", 0, fence.start()) + 1,
                language=fence["language"],
                text=body,
                reason=(mark["reason"] or "") if mark else "",
                test=(mark["test"] or "") if mark else "",
            )
        )
    return found


def needs_server(page: str) -> bool:
    """Whether something that is executed on a page talks to a server."""
    return any(SERVER in each.text for each in snippets(page) if each.executed)


def clone(folder: Path) -> dict[str, str]:
    """Make a folder like a clone, with the commands of its environment; returns the environment."""
    for name in _IN_CLONE:
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / "bin").mkdir()
    for name, module in (("python", ""), ("inftythink", "-m inftythink_graph.cli ")):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    modules = os.pathsep.join([str(ROOT), *(each for each in sys.path if each)])
    return {**os.environ, "PATH": path, "PYTHONPATH": modules, "COLUMNS": "120"}


@contextmanager
def commercial_model() -> Iterator[Mapping[str, str]]:
    """A server in this process that poses as OpenAI's; yields the variables that lead its client there."""
    with running() as server:
        server.models = [{"id": "gpt-4.1"}]
        server.reply = {"content": "It is \\boxed{60}."}
        yield _as_openai(server)


def _as_openai(server: FakeVLLM) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}


def run_page(page: str, folder: Path, *, base_url: str = "", given: Mapping[str, Any] | None = None) -> int:
    """Run a page's snippets in order, in a folder like a clone that is also the working directory.

    Args:
        page: its path in the repository.
        folder: an empty folder, the working directory.
        base_url: the address of a server of the bundled model, in place of the one that pages give.
        given: names that a page's Python takes for granted.

    Returns:
        The number of snippets that were run.
    """
    environment = clone(folder)
    names: dict[str, Any] = {"__name__": "snippet", **(given or {})}
    executed = [each for each in snippets(page) if each.executed]
    for each in executed:
        text = each.text.replace(SERVER, base_url) if base_url else each.text
        for shown, used in _STAND_INS.items():
            text = text.replace(shown, used)
        if each.language == "python":
            exec(compile("\n" * each.line + text, page, "exec", dont_inherit=True), names)
        else:
            _run_commands(each, text, folder, environment)
    return len(executed)


def _run_commands(snippet: Snippet, text: str, folder: Path, environment: dict[str, str]) -> None:
    # Servers that a page starts in the background are running already.
    script = re.sub(r"^inftythink serve .*&(?:\s*#.*)?$", "", text, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{snippet.page}, line {snippet.line}:\n{done.stdout}\n{done.stderr}"
