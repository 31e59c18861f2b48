"""Admission: which stream requests are let in, and the way of a new stream into the engine.

The three ways in (`fast_path`, `http_protocol`, `asgi`) differ in how a request is read and how a
connection is written to. Everything between is here, once, so that they cannot disagree: the door
is asked and its answer counted, a client's acknowledged position is looked up, the stream is
entered in the registry and gets its first bytes. They know this module and not the engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from tidegate.auth.guard import Guard
from tidegate.auth.rights import UNLIMITED, Rights
from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import ShutdownReason
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.stream.cors import CorsPolicy
from tidegate.stream.decisions import Accept, Decision, Recall, Refuse
from tidegate.stream.door import Door, Liveness, PodView, Way
from tidegate.stream.log import EventLog
from tidegate.stream.requests import Recalled, StreamRequest
from tidegate.wire.encode import HEARTBEAT
from tidegate.wire.http import frame
from tidegate_sidecar.engine.answers import HeadsByOrigin
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.delivery import Delivery
from tidegate_sidecar.engine.memory import STREAM_BYTES
from tidegate_sidecar.engine.peers import liveness
from tidegate_sidecar.engine.registry import Registry
from tidegate_sidecar.engine.stream import Host, Stream, StreamTransport
from tidegate_sidecar.streams import Gate

PROBE_HOLDS_S = 10.0
"""How long after a bounce a client at its limit may take to come again and find an answer."""

MAX_PROBED = 1024
"""Clients at their limit that are remembered; forgotten ones are written to once more."""

_HEARTBEAT = frame(HEARTBEAT)


class Admission:
    """Lets streams in; what happens to one afterwards is reported to `host`.

    `gate` is read at every request; the owner of the pod's state sets it. `recall` looks up what
    a client has acknowledged. `cut` ends a stream whose transport has raised. `guard` decides who
    may read (``None``: everybody), and `watch` ends a stream by the time its rights end. `clock`
    gives monotonic seconds.
    """

    def __init__(
        self,
        streams: StreamSettings,
        limits: Limits,
        log: EventLog,
        registry: Registry,
        delivery: Delivery,
        counters: Counters,
        *,
        pod_name: str,
        clock: Callable[[], float],
        host: Host,
        cut: Callable[[Stream, str], None],
        recall: Callable[[StreamKey | None], Awaitable[Recalled]],
        guard: Guard | None,
        watch: Callable[[Stream, Rights], None],
    ) -> None:
        retry_ms = streams.retry_base_ms if streams.retry else 0
        self.gate = Gate(bounce_retry_ms=retry_ms)
        self.cors = CorsPolicy(streams.cors_origins)
        self.heads = HeadsByOrigin(self.cors)
        self.recall = recall
        self._log = log
        self._registry = registry
        self._delivery = delivery
        self._counters = counters
        self._clock = clock
        self._host = host
        self._cut = cut
        self._probed: dict[str, float] = {}
        self._watch = watch
        self._door = Door(streams, limits, log, pod_name=pod_name, guard=guard)

    def decide(self, request: StreamRequest, way: Way) -> Decision:
        """Ask the door and count its answer."""
        gate, registry = self.gate, self._registry
        pod = PodView(
            now=self._clock(),
            refusing=gate.refusing or (self._out_of_memory() if registry.memory.is_full else None),
            bounce_retry_ms=gate.bounce_retry_ms,
            streams=registry.open.count,
            without_client=registry.without_client,
            arrivals=registry.arrived_total,
            streams_of=registry.streams_of,
            liveness_of=self._liveness_of,
        )
        decision = self._door.decide(request, pod, way)
        self._counters.decided(decision)
        return decision

    async def decide_recalled(self, recall: Recall, way: Way) -> Decision:
        """Look up the acknowledged position that `recall` asks for, then ask the door again.

        The pod may refuse by then. Raises whatever the store's reader raises.
        """
        return self.decide(recall.answered(await self.recall(recall.key)), way)

    def _out_of_memory(self) -> ShutdownReason:
        self._counters.out_of_memory += 1
        return "overloaded"

    def _liveness_of(self, client: str) -> Liveness:
        """Look at the streams of `client`; to find out, each is written to at its first attempt.

        A heartbeat is enough: by the client's next attempt, after a bounce's `retry:`, its kernel
        has acknowledged it or not.
        """
        streams, now = self._registry.clients.get(client, ()), self._clock()
        probed_s = self._probed.get(client)
        if probed_s is None or now - probed_s > PROBE_HOLDS_S + self.gate.bounce_retry_ms / 1000:
            if len(self._probed) >= MAX_PROBED:
                self._probed.clear()
            self._probed[client] = now
            for stream in streams:
                self._probe(stream, now)
            return Liveness(0, len(streams))
        found = Counter(liveness(stream.transport) for stream in streams)
        return Liveness(found["live"], found["unsure"])

    def _probe(self, stream: Stream, now: float) -> None:
        stream.last_write_s = now
        self._counters.heartbeats += 1
        try:
            stream.transport.write(_HEARTBEAT)
        except Exception:  # noqa: BLE001 - found dead by the next heartbeat
            self._counters.failed_writes += 1

    def refuse(self, error: CallerError) -> Refuse:
        """A refusal that was found before the door, counted."""
        refusal = Refuse(error)
        self._counters.decided(refusal)
        return refusal

    def admit(
        self, transport: StreamTransport, accepted: Accept, cost_bytes: int = STREAM_BYTES
    ) -> Stream:
        """Enter a new stream on `transport`; `open_with` must follow before anything else runs."""
        wanted = accepted.wanted
        stream = Stream(
            self._host,
            transport,
            self._registry.audiences.of(wanted.topics, self._log.head),
            number=self._registry.arrived_total,
            client=wanted.client,
            handover=wanted.handover,
            spread_ms=accepted.spread_ms,
            cursor=accepted.position,
            now=self._clock(),
            cost_bytes=cost_bytes,
        )
        self._registry.admit(stream)
        if accepted.rights is not UNLIMITED:
            self._watch(stream, accepted.rights)
        return stream

    def open_with(self, stream: Stream, accepted: Accept, head: bytes) -> None:
        """Write `head` (a response head or nothing), the first bytes and what fits of a replay."""
        data = head + frame(accepted.first) + self._delivery.newcomer(stream, stream.accepted_s)
        self._counters.gaps += accepted.gap is not None
        self._counters.bytes += len(data)
        try:
            stream.transport.write(data)
        except Exception:  # noqa: BLE001 - one stream's error ends that stream only
            self._cut(stream, "error")
