"""A run as OpenTelemetry spans, by way of LangChain's tracer for LangSmith: which epoch each model call belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tracers import LangChainTracer
from langsmith import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from inftythink_graph import create_inftythink_graph
from inftythink_graph.protocol import Protocol


@pytest.fixture
def spans() -> Any:
    """A tracer, and what it has exported."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # Nothing listens there, and in this mode nothing is sent there.
    client = Client(tracing_mode="otel", otel_tracer_provider=provider, api_url="http://127.0.0.1:9", api_key="none")

    def exported() -> list[ReadableSpan]:
        client.flush()
        return list(exporter.get_finished_spans())

    yield LangChainTracer(client=client), exported
    client.cleanup()


def test_each_model_call_is_a_span_with_its_epoch(scripted: Callable[..., Any], spans: Any) -> None:
    tracer, exported = spans
    model = scripted("<think>\na\n</think>\n<summary>\nhalf\n</summary>", "<think>\nb\n</think>\nIt is \\boxed{7}.")
    graph = create_inftythink_graph(model, protocol=Protocol())
    result = graph.invoke({"question": "3 + 4"}, {"callbacks": [tracer]})
    assert result["answer"] == "7"
    found = exported()
    prefix = "langsmith.metadata.inftythink_"
    calls = sorted((span for span in found if f"{prefix}epoch" in span.attributes), key=lambda span: span.start_time)
    told = [(str(span.attributes[f"{prefix}epoch"]), span.attributes[f"{prefix}part"]) for span in calls]
    assert told == [("1", "segment"), ("2", "segment")]
    names = {span.name for span in found}
    assert {"inftythink", "reason", "check_answer", "summarize"} <= names
    assert len({span.context.trace_id for span in found}) == 1, "one trace for the whole run"
