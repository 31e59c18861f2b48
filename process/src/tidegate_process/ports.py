"""One port's connections, held within bounds in number and time, and counted.

A connection is *idle* until the head of a request is complete and again after the answer, else
*busy*. A full port ends the connection that has been idle the longest, so that one that opens
connections and sends nothing cannot keep others out. The last places are kept for probes and hooks
(`PortLimits.kept_paths`): another request that needs one of them gets 503. Busy is bounded in time:
a request must come and its answer must be read. The bodies of all requests share one budget: above
it the request that holds the most of it is ended.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tidegate_process.limits import REASONS, PortLimits
from tidegate_process.logs import LIMITED

TICK_S: Final = 0.25
"""How often time-outs are looked for; each comes up to so much later."""

_log = logging.getLogger(LIMITED)


class Connection(Protocol):
    """What a port needs of a connection; `end` closes it with what it has not sent yet dropped."""

    def end(self) -> None:
        """Close the connection at once."""


class TimeLimit:
    """Connections in the order in which the same span of time ends for them: `due`."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self.due: dict[Connection, float] = {}

    def begin(self, connection: Connection) -> None:
        """The time runs from now on, or from the first of several calls."""
        if connection not in self.due:
            self.due[connection] = self._clock() + self._limit_s

    def done(self, connection: Connection) -> None:
        """In time, or gone."""
        self.due.pop(connection, None)

    def late(self) -> list[Connection]:
        """Take out those that are past their time."""
        now, late = self._clock(), []
        for connection, due_s in self.due.items():
            if due_s > now:
                break
            late.append(connection)
        for connection in late:
            del self.due[connection]
        return late


class Port:
    """The connections of the port `name`; `refused` counts, by reason, what was ended or denied.

    A connection with a descriptor of `descriptors_below` or above makes the port full, too.
    """

    def __init__(
        self,
        name: str,
        limits: PortLimits,
        clock: Callable[[], float],
        descriptors_below: int | None = None,
    ) -> None:
        self.name = name
        self.limits = limits
        self.refused: Counter[str] = Counter()
        self.handshakes = TimeLimit(limits.handshake_s, clock)
        self.heads = TimeLimit(limits.head_s, clock)
        self.requests = TimeLimit(limits.request_s, clock)
        self.writes = TimeLimit(limits.write_s, clock)
        self._seldom = (self.handshakes, self.requests, self.writes)
        self.descriptors_below = descriptors_below
        self._idle: dict[Connection, None] = {}
        self._busy: set[Connection] = set()
        self._bodies: dict[Connection, int] = {}
        self._body_bytes = 0

    @property
    def count(self) -> int:
        """Connections that are open."""
        return len(self._idle) + len(self._busy)

    @property
    def body_bytes(self) -> int:
        """Bytes of bodies that are held for requests in work."""
        return self._body_bytes

    def accepted(self, handshake: Connection, descriptor: int) -> None:
        """Enter a connection that begins with a TLS handshake; `opened` follows when it is done."""
        self.handshakes.begin(handshake)
        self._enter(handshake, descriptor)

    def opened(self, connection: Connection, descriptor: int) -> None:
        """Enter a new connection; on a full port the one that is idle the longest goes."""
        self.heads.begin(connection)
        self._enter(connection, descriptor)

    def _enter(self, connection: Connection, descriptor: int) -> None:
        self._idle[connection] = None
        below = self.descriptors_below
        if below is not None and descriptor >= below:
            self._end_for_descriptors(connection)
        elif len(self._idle) + len(self._busy) > self.limits.connections:
            self._make_room("connections")

    def _end_for_descriptors(self, newcomer: Connection) -> None:
        _log.warning(
            "out of file descriptors: connections are refused (raise the limit, ulimit -n)",
            extra={"port": self.name},
        )
        self._make_room("descriptors")
        if newcomer in self._idle:
            # Its number is one that must stay free; the next one gets the number that is.
            self.closed(newcomer)
            newcomer.end()

    def closed(self, connection: Connection) -> None:
        """The connection is gone, or has become a stream."""
        self._idle.pop(connection, None)
        self.heads.done(connection)
        if self._busy:
            self._busy.discard(connection)
        if self._bodies:
            self._release(connection)
        # Each new stream passes here, and these are nearly always empty.
        for limit in self._seldom:
            if limit.due:
                limit.done(connection)

    def begin(self, connection: Connection, path: bytes) -> bool:
        """A request's head is complete; false where there is no place for it now."""
        self.heads.done(connection)
        self.requests.begin(connection)
        self._idle.pop(connection, None)
        self._busy.add(connection)
        limits = self.limits
        if path in limits.kept_paths or len(self._busy) <= limits.connections - limits.kept:
            return True
        self.refused["busy"] += 1
        return False

    def received(self, connection: Connection, size: int) -> None:
        """`size` more bytes of a body are held; above the budget the largest request is ended."""
        self._bodies[connection] = self._bodies.get(connection, 0) + size
        self._body_bytes += size
        while self._body_bytes > self.limits.body_bytes:
            largest = max(self._bodies, key=self._bodies.__getitem__)
            self.refused["body_bytes"] += 1
            self.closed(largest)
            largest.end()

    def _release(self, connection: Connection) -> None:
        self._body_bytes -= self._bodies.pop(connection, 0)

    def answered(self, connection: Connection) -> None:
        """The answer is written; the connection waits for the next request."""
        self._release(connection)
        if connection in self._busy:
            self._busy.remove(connection)
            self._idle[connection] = None

    def expire(self) -> None:
        """End the connections that are past their time; call it every `TICK_S`."""
        for reason, limit in (
            ("slow_handshake", self.handshakes),
            ("slow_head", self.heads),
            ("slow_body", self.requests),
            ("unread_answer", self.writes),
        ):
            for connection in limit.late():
                self.refused[reason] += 1
                self.closed(connection)
                connection.end()

    def _make_room(self, reason: str) -> None:
        self.refused[reason] += 1
        oldest = next(iter(self._idle))
        self.closed(oldest)
        oldest.end()


class PortMetrics(Collector):
    """The ports' connections and refusals for `/metrics`."""

    def __init__(self, ports: Iterable[Port]) -> None:
        self._ports = tuple(ports)

    def collect(self) -> Iterable[Metric]:
        """All families; a reason that has not occurred is there with 0."""
        connections = GaugeMetricFamily(
            "tidegate_port_connections", "Open connections, by port.", labels=["port"]
        )
        bodies = GaugeMetricFamily(
            "tidegate_port_body_bytes", "Bodies of requests in work, by port.", labels=["port"]
        )
        refused = CounterMetricFamily(
            "tidegate_port_refused",
            "Connections ended and requests denied to keep a port within its bounds, by reason.",
            labels=["port", "reason"],
        )
        for port in self._ports:
            connections.add_metric([port.name], port.count)
            bodies.add_metric([port.name], port.body_bytes)
            for reason in REASONS:
                refused.add_metric([port.name, reason], port.refused[reason])
        yield from (connections, bodies, refused)
