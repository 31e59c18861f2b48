"""What all exchanges of one proxy share."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field

from tidegate.contract.proxy import ProxySettings
from tidegate.contract.stream_events import ShutdownReason
from tidegate.proxy.heads import Request
from tidegate.proxy.insertions import bounce, encode_retry
from tidegate.proxy.kinds import Learnt, Rules, asks_for_endless
from tidegate.stream.queue import AcceptQueue
from tidegate.stream.retries import assign
from tidegate_process.ports import Port, TimeLimit
from tidegate_sidecar.proxy.streams import Ending, ProxyStreams
from tidegate_sidecar.proxy.upstream import Upstreams


@dataclass(slots=True)
class Context:
    """The parts of a proxy that an exchange needs. `clock` in seconds.

    `connecting` and `silence` are exchanges that wait for a connection and for an answer, `idle`
    connections of clients that wait for their next request.
    """

    settings: ProxySettings
    clock: Callable[[], float]
    loop: asyncio.AbstractEventLoop
    port: Port
    streams: ProxyStreams
    upstreams: Upstreams
    connecting: TimeLimit
    silence: TimeLimit
    idle: TimeLimit
    queue: AcceptQueue | None
    rules: Rules
    learnt: Learnt = field(default_factory=Learnt)

    def trusts(self, peer: str) -> bool:
        """Whether a peer may report the clients before it."""
        networks = self.settings.application.trusted_proxies
        if not networks:
            return False
        address = ipaddress.ip_address(peer.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in networks)

    def bounces(self, request: Request) -> bytes | None:
        """The answer to a request for an endless stream that is not accepted now, else ``None``.

        Reserves nothing: a request that is let in is counted once its stream begins.
        """
        if not asks_for_endless(request, self.rules, self.learnt):
            return None
        return self.bounces_stream(request)

    def bounces_stream(self, request: Request) -> bytes | None:
        """The same where the answer is known to be an endless stream."""
        gate = self.streams.gate
        if gate.refusing is not None:
            return self.bounce(request, gate.refusing, gate.bounce_retry_ms)
        if self.streams.open_count >= self.settings.limits.max_streams:
            return self.bounce(request, "overloaded", gate.bounce_retry_ms)
        now = self.clock()
        if self.queue is not None and not self.queue.has_room(now):
            return self.bounce(request, "overloaded", self.queue.slot_ms(now))
        return None

    def bounce(self, request: Request, reason: ShutdownReason, retry_ms: int) -> bytes:
        """A counted bounce."""
        self.streams.bounced_total[reason] += 1
        return bounce(reason, retry_ms, request.value(b"origin"))

    def opens(self, stream: Ending) -> bytes:
        """An answer has turned out to be an endless stream; returns its first line, or nothing.

        It may be silent for ever.
        """
        streams = self.streams
        streams.opened(stream)
        self.silence.done(stream)
        if self.queue is not None:
            self.queue.take()
        retry = assign(self.settings.streams, streams.arrived_total, streams.open_count)
        return b"" if retry.retry_ms is None else encode_retry(retry.retry_ms)
