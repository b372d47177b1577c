"""What the site's hooks refuse: a page must not lead to nothing or ask for the help of no command."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts" / "site" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rendered(hooks: ModuleType, text: str) -> str:
    page: Any = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))
    config: Any = SimpleNamespace(docs_dir=str(ROOT / "docs"))
    return str(hooks.on_page_markdown(text, page, config, None))


def test_a_link_out_of_the_docs_becomes_a_name(hooks: ModuleType) -> None:
    assert _rendered(hooks, "[`small.yaml`](../sft/recipes/small.yaml)") == "`small.yaml`"
    assert _rendered(hooks, "[a recipe](../sft/recipes/small.yaml)") == "a recipe (`sft/recipes/small.yaml`)"
    with pytest.raises(PluginError, match="which doesn't exist"):
        _rendered(hooks, "[a recipe](../sft/recipes/none.yaml)")


def test_help_is_that_of_the_parser(hooks: ModuleType) -> None:
    assert "--max-model-len" in _rendered(hooks, "<!-- help: inftythink serve -->")
    with pytest.raises(PluginError, match="no command 'inftythink none'"):
        _rendered(hooks, "<!-- help: inftythink none -->")


def test_private_and_empty_modules_have_no_page(hooks: ModuleType) -> None:
    found = list(hooks.public_modules("inftythink_graph"))
    assert found[0] == "inftythink_graph"
    assert {"inftythink_graph.graph", "inftythink_graph.models.vllm"} <= set(found)
    assert not [name for name in found if "._" in name or name == "inftythink_graph.nodes"]
