"""The drawings of the graph, in the README and on the site, are those of the graph."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.graph import InftyThinkGraph

ROOT = Path(__file__).parents[2]


@pytest.fixture
def graph() -> InftyThinkGraph:
    return create_inftythink_graph(EmbeddedChatModel())  # nothing is loaded before it is asked


def test_the_readme_draws_the_graph_as_it_is(graph: InftyThinkGraph) -> None:
    (block,) = re.findall(r"^```mermaid\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    drawn = graph.get_graph().draw_mermaid()
    assert block.strip() == drawn.strip(), f"put this between the mermaid fences of README.md:\n{drawn}"


def test_the_picture_of_the_site_has_its_nodes_and_edges(graph: InftyThinkGraph) -> None:
    picture = ET.parse(ROOT / "docs" / "graph.svg")
    drawn = graph.get_graph()
    assert {each.get("data-node") for each in picture.iterfind(".//*[@data-node]")} == set(drawn.nodes)
    edges = {(edge.source, edge.target, edge.conditional) for edge in drawn.edges}
    lines = list(picture.iterfind(".//*[@data-edge]"))
    assert {(*str(each.get("data-edge")).split(), each.get("stroke-dasharray") is not None) for each in lines} == edges
