"""The graph's schemas as JSON schemas: what LangGraph's server shows of a graph and reads over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import pytest

from inftythink_graph import InftyThinkContext, InftyThinkInput, InftyThinkOutput, create_inftythink_graph
from inftythink_graph.graph import InftyThinkGraph

SEGMENT = "<think>\nstep {0}\n</think>\n<summary>\nS{0}\n</summary>"


@pytest.fixture
def graph(scripted: Callable[..., Any]) -> InftyThinkGraph:
    """Sixty segments before the conclusion, and room for two."""
    script = [*map(SEGMENT.format, range(60)), "<think>\nlast\n</think>\n\nIt is \\boxed{7}."]
    return create_inftythink_graph(scripted(*script), protocol="native", max_epochs=2)


def test_input_and_output_have_a_schema(graph: InftyThinkGraph) -> None:
    assert set(graph.get_input_jsonschema()["properties"]) == set(InftyThinkInput.__annotations__)
    assert set(graph.get_output_jsonschema()["properties"]) == set(InftyThinkOutput.__annotations__)


def test_every_setting_of_a_call_says_what_it_is(graph: InftyThinkGraph) -> None:
    schema = graph.get_context_jsonschema()
    assert schema is not None
    shown = schema["properties"]
    assert set(shown) == {item.name for item in fields(InftyThinkContext)}
    assert not [name for name, field in shown.items() if not field.get("description")]
    assert all(field["default"] is None for field in shown.values())


@pytest.mark.parametrize("form", [lambda context: context, asdict], ids=["object", "mapping"])
def test_a_call_with_more_epochs_than_the_graph_is_not_cut_short(graph: InftyThinkGraph, form: Any) -> None:
    context = form(InftyThinkContext(max_epochs=80))
    result = graph.invoke({"question": "q"}, {"recursion_limit": 25}, context=context)
    assert (result["answer"], result["status"], result["epochs"]) == ("7", "answered", 61)
