"""A run's metrics for Prometheus, served while it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import InftyThinkError, InvalidInputError
from inftythink_graph.runner.endpoints import Endpoint, EndpointPool
from inftythink_graph.runner.faults import Fault
from inftythink_graph.runner.observers import Observer
from inftythink_graph.runner.tally import Tally

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily

__all__ = ["Metrics"]

_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)


class Metrics(Observer):
    """Counts what happens in a run, and serves it at ``http://HOST:PORT/metrics``.

    Args:
        port: to listen on; 0 takes a free one, and ``port`` tells which. None serves nothing: read ``registry``.
        host: to listen on; this machine alone unless told otherwise.

    Raises:
        InvalidInputError: the port can't be listened on.
        InftyThinkError: prometheus_client isn't installed.
    """

    def __init__(self, port: int | None = None, *, host: str = "127.0.0.1") -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
        except ImportError as error:
            raise InftyThinkError("metrics need prometheus-client; pip install 'inftythink-graph[metrics]'") from error
        registry = CollectorRegistry()
        self.registry: CollectorRegistry = registry
        named: dict[str, Any] = {"namespace": "inftythink", "registry": registry}
        self._questions = Counter("questions", "Questions that are finished.", ["status"], **named)
        self._epochs = Counter("epochs", "Epochs of the questions that are finished.", **named)
        self._tokens = Counter("tokens", "Tokens: prompt, cached (of the prompt), completion.", ["kind"], **named)
        self._faults = Counter("faults", "Requests that met a fault and were made again.", ["server", "fault"], **named)
        self._requests = Histogram("request_seconds", "Requests.", ["server"], buckets=_SECONDS, **named)
        self._under_way = Gauge("questions_under_way", "Questions that are being thought about.", **named)
        self._pool: EndpointPool | None = None
        registry.register(_Servers(self))
        self.port = port
        self._server: Any = None
        if port is not None:
            try:
                self._server, _ = start_http_server(port, addr=host, registry=registry)
            except (OSError, OverflowError) as error:
                raise InvalidInputError(f"metrics can't be served at {host}:{port}: {error}") from error
            self.port = self._server.server_port

    def begin(self, tally: Tally, pool: EndpointPool) -> None:
        """Know the servers."""
        self._pool = pool

    def started(self) -> None:
        """One more is under way."""
        self._under_way.inc()

    def replied(self, usage: Mapping[str, Any] | None) -> None:
        """Count tokens."""
        if usage:
            self._tokens.labels("prompt").inc(usage.get("input_tokens") or 0)
            self._tokens.labels("completion").inc(usage.get("output_tokens") or 0)
            self._tokens.labels("cached").inc((usage.get("input_token_details") or {}).get("cache_read") or 0)

    def answered(self, endpoint: Endpoint, seconds: float) -> None:
        """Time a request."""
        self._requests.labels(endpoint.name).observe(seconds)

    def met_fault(self, endpoint: Endpoint, fault: Fault) -> None:
        """Count a fault."""
        self._faults.labels(endpoint.name, fault).inc()

    def finished(self, result: Mapping[str, Any]) -> None:
        """Count a question."""
        self._under_way.dec()
        self._questions.labels(str(result["status"])).inc()
        self._epochs.inc(result.get("epochs") or 0)

    def end(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Servers:
    """What is known of the servers at the moment when somebody asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As prometheus_client's registries ask for it."""
        from prometheus_client.core import GaugeMetricFamily

        pool = self._metrics._pool
        for name, about, value_of in (
            ("inftythink_server_up", "Whether a server is asked.", lambda server: float(server.up)),
            ("inftythink_server_limit", "Requests that it is sent at a time.", lambda server: server.gate.limit),
            ("inftythink_server_requests", "Requests that it has now.", lambda server: float(server.gate.running)),
        ):
            family = GaugeMetricFamily(name, about, labels=["server"])
            for server in pool.endpoints if pool else ():
                family.add_metric([server.name], value_of(server))
            yield family
