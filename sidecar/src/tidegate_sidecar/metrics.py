"""`/metrics`: collected from the parts at each request, counted here only where no part does.

Names follow Prometheus' conventions (base units, ``_total`` for counters). A registry of our own:
two sidecars in one process would not see each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tidegate.contract.report import POD_STATES
from tidegate.drain.drain import Drain
from tidegate_process.ports import Port, PortMetrics
from tidegate_sidecar.backplane.port import Health
from tidegate_sidecar.streams import Streams


class AuthHealth(Protocol):
    """What is shown of authentication, where it is on."""

    @property
    def problem(self) -> str | None:
        """Why the keys are not refreshed."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Tokens by what became of them, and fetches of keys."""


class _Parts(Collector):
    """Reads drain, streams and the log's health at the moment of the scrape."""

    def __init__(
        self, drain: Drain, streams: Streams, health: Health | None, auth: AuthHealth | None
    ) -> None:
        self._drain = drain
        self._streams = streams
        self._health = health
        self._auth = auth

    def collect(self) -> Iterable[Metric]:
        """Every family that lives elsewhere."""
        yield from self._of_streams()
        yield from self._of_drain()
        if self._health is not None:
            yield from self._of_backplane(self._health)
        if self._auth is not None:
            yield from self._of_auth(self._auth)

    def _of_streams(self) -> Iterable[Metric]:
        streams = self._streams
        yield _gauge("tidegate_streams", "Open streams.", streams.open_count)
        yield _gauge(
            "tidegate_streams_lingering",
            "Streams still open after their goodbye.",
            streams.lingering_count,
        )
        yield _gauge(
            "tidegate_streams_memory_bytes",
            "Memory of all streams, with what their clients do not read.",
            streams.memory_bytes,
        )
        yield _counter("tidegate_streams_arrived", "Streams accepted.", streams.arrived_total)
        yield _by_label(
            "tidegate_streams_ended", "Streams ended.", "cause", streams.ended_total.items()
        )
        yield _by_label(
            "tidegate_engine_bounces",
            "Stream requests answered with a `retry:` and the end.",
            "reason",
            streams.bounced_total.items(),
        )
        yield _by_label(
            "tidegate_engine_refusals",
            "Stream requests refused as invalid or over a client's limit, by error.",
            "error",
            streams.refused_total.items(),
        )
        yield from _counters("tidegate_engine", "Counted by the engine", streams.counters)

    def _of_drain(self) -> Iterable[Metric]:
        state = GaugeMetricFamily("tidegate_pod_state", "The pod's state.", labels=["state"])
        for name in POD_STATES:
            state.add_metric([name], float(name == self._drain.state))
        yield state
        orders = self._drain.orders
        yield _gauge("tidegate_admitted", "1 while the operator admits the pod.", orders.admitted)
        yield _by_label(
            "tidegate_operator_answers",
            "Answers from the operator, by reception.",
            "reception",
            orders.received.items(),
        )

    def _of_backplane(self, health: Health) -> Iterable[Metric]:
        yield _gauge("tidegate_backplane_degraded", "1 while entries may be late.", health.degraded)
        delay_s = health.canary_delay_s
        if delay_s is not None:
            yield _gauge(
                "tidegate_backplane_canary_seconds", "Latency of the last canary.", delay_s
            )
        yield from _counters("tidegate_backplane", "Counted by the backplane", health.counters)

    def _of_auth(self, auth: AuthHealth) -> Iterable[Metric]:
        yield _gauge(
            "tidegate_auth_degraded",
            "1 while the keys that verify tokens are not refreshed.",
            auth.problem is not None,
        )
        yield from _counters("tidegate_auth", "Counted by authentication", auth.counters)


class Metrics:
    """The registry, and the counters of the HTTP ports and the reporter.

    A proxy has no log and no `health`.
    """

    def __init__(
        self,
        drain: Drain,
        streams: Streams,
        health: Health | None,
        ports: Iterable[Port] = (),
        auth: AuthHealth | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Parts(drain, streams, health, auth))
        self.registry.register(PortMetrics(ports))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._published = Counter(
            "tidegate_published", "Events published by the application.", registry=self.registry
        )
        self._refused = Counter(
            "tidegate_requests_refused",
            "Invalid requests refused, by port and error.",
            ["port", "error"],
            registry=self.registry,
        )
        self._reports = Counter(
            "tidegate_reports", "Reports to the operator.", ["result"], registry=self.registry
        )

    def published(self) -> None:
        """An event was acknowledged."""
        self._published.inc()

    def refused(self, port: str, error: str) -> None:
        """A request was answered with an error of ours; `error` is its code."""
        self._refused.labels(port, error).inc()

    def reported(self, result: str) -> None:
        """A report was answered, superseded or failed."""
        self._reports.labels(result).inc()


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=float(value))


def _counter(name: str, documentation: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, documentation, value=float(value))


def _by_label(
    name: str, documentation: str, label: str, values: Iterable[tuple[str, int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in values:
        family.add_metric([value], count)
    return family


def _counters(prefix: str, documentation: str, values: Mapping[str, int]) -> Iterable[Metric]:
    for name, value in values.items():
        yield _counter(f"{prefix}_{name}", f"{documentation}: {name}.", value)
