"""The documentation site: built strictly, complete, and without anything from another host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from inftythink_graph.cli import build_parser
from inftythink_graph.state import InftyThinkContext

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
HOST = "http://site.invalid/"
_LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}


class _Page(HTMLParser):
    """What a page loads, where it leads, which anchors it has, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.classes: set[str] = set()
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        self.classes |= set(given.get("class", "").split())
        self.loaded += [given[name] for each, name in _LOADED if each == tag and name in given]
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, from a copy of nothing: strict, and with no way to a network that it could take."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, _Page]:
    """All pages by their address below the site's root."""
    return {str(path.relative_to(site)): _Page(path.read_text()) for path in site.rglob("*.html")}


def test_nothing_comes_from_another_host(site: Path, pages: dict[str, _Page]) -> None:
    foreign = [
        f"{name}: {address}"
        for name, page in pages.items()
        for address in page.loaded
        if urlsplit(urljoin(HOST + name, address)).netloc != urlsplit(HOST).netloc and not address.startswith("data:")
    ]
    for path in site.rglob("*.css"):
        fetched = re.findall(r"(?:url\(|@import\s*)[\"']?((?:https?:)?//[^\"')]+)", path.read_text())
        foreign += [f"{path.name}: {address}" for address in fetched]
    assert not foreign
    # The theme's script would fetch a library for these.
    assert not [name for name, page in pages.items() if "mermaid" in page.classes]


def test_what_pages_load_and_lead_to_is_there(site: Path, pages: dict[str, _Page]) -> None:
    def missing(name: str, page: _Page) -> Iterator[str]:
        for address in [*page.loaded, *page.links]:
            target = urlsplit(urljoin(HOST + name, address))
            if target.netloc != urlsplit(HOST).netloc or address.startswith("data:"):
                continue
            path = target.path.lstrip("/")
            path = f"{path}index.html" if path == "" or path.endswith("/") else path
            there = (site / path).is_file()
            if there and target.fragment and path in pages:
                there = target.fragment in pages[path].anchors
            if not there:
                yield f"{name}: {address}"

    # The page for addresses that don't exist refers to the site's root as its server names it.
    assert not [each for name, page in pages.items() if name != "404.html" for each in missing(name, page)]


def test_search_finds_pages_and_reference(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    places = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"", "concepts/", "faq/", "reference/inftythink_graph/graph/", "reference/sft/train/"} <= places


def test_the_reference_has_every_public_module(pages: dict[str, _Page]) -> None:
    for package in ("inftythink_graph", "datasets_build", "sft"):
        for path in (ROOT / package).rglob("[!_]*.py"):
            parts = path.relative_to(ROOT / package).with_suffix("").parts
            if not any(part.startswith("_") for part in parts):
                assert f"reference/{package}/{'.'.join(parts)}/index.html" in pages
    graph = pages["reference/inftythink_graph/graph/index.html"]
    assert "inftythink_graph.graph.create_inftythink_graph" in graph.anchors
    assert "top_p" in "".join(graph.text)
    assert ":class:`" not in "".join(graph.text), "a role that no link was made of"
    state = pages["reference/inftythink_graph/state/index.html"]
    wanted = {f"inftythink_graph.state.InftyThinkContext.{name}" for name in InftyThinkContext.__annotations__}
    assert wanted <= state.anchors


def test_the_command_line_shows_its_own_help(pages: dict[str, _Page]) -> None:
    text = "".join(pages["reference/command-line/index.html"].text)
    assert "help:" not in text
    options = re.findall(r"--[a-z][a-z-]+", build_parser().format_help())
    for option in (*options, "--gold", "--reasoning-parser", "--summarizer", "--generation_problems"):
        assert option in text
