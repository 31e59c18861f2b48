"""The engine's face: it puts the parts together and is what the rest of the sidecar calls.

`Registry` knows who is here, `Delivery` gives them what they lack, `Closer` ends them,
`Housekeeping` does what time demands, `Door` decides who comes in, by takeover or the ordinary way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import ShutdownReason
from tidegate.stream.cors import CorsPolicy
from tidegate.stream.door import Accept, Decision, Door, PodView, Refuse, Way
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.requests import Recalled, StreamRequest
from tidegate.wire.http import frame
from tidegate_sidecar.engine.answers import HeadsByOrigin
from tidegate_sidecar.engine.asgi import AsgiStreams, nothing_kept
from tidegate_sidecar.engine.closer import Closer
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.delivery import Delivery
from tidegate_sidecar.engine.fast_path import FastPathProtocol
from tidegate_sidecar.engine.header_timeouts import HeaderTimeouts
from tidegate_sidecar.engine.housekeeping import Housekeeping
from tidegate_sidecar.engine.http_protocol import HttpProtocol
from tidegate_sidecar.engine.intake import Intake
from tidegate_sidecar.engine.registry import Registry
from tidegate_sidecar.engine.settings import EngineSettings
from tidegate_sidecar.engine.stream import Phase, Stream, StreamTransport, final_cursor
from tidegate_sidecar.ports.cross_origin import cross_origin
from tidegate_sidecar.streams import Goodbye, StreamInfo


class Engine:
    """All streams of one pod; implements `tidegate_sidecar.streams.Streams`.

    `clock` gives monotonic seconds, `loop` is the one loop on which everything is called. `log`
    belongs to the engine from here on. `recall` looks up what a client has acknowledged.
    """

    def __init__(
        self,
        settings: EngineSettings,
        log: EventLog,
        *,
        pod_name: str,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        recall: Callable[[StreamKey], Awaitable[Recalled]] | None = None,
    ) -> None:
        self.settings = settings
        self.recall = recall or nothing_kept
        self.refusing: ShutdownReason | None = None
        self.closing = False
        self.bounce_retry_ms = settings.retry_base_ms if settings.assign_retry else 0
        self._counters = Counters()
        self.header_timeouts = HeaderTimeouts(settings.handshake_timeout_s)
        self.cors = CorsPolicy(settings.cors_origins)
        self.heads = HeadsByOrigin(self.cors)
        self.asgi_app = cross_origin(AsgiStreams(self), self.cors, self.refuse)
        self._log = log
        self._clock = clock
        self._registry = Registry()
        self._door = Door(
            log,
            pod_name=pod_name,
            heartbeat_ms=round(settings.heartbeat_s * 1000),
            limits=settings.door_limits,
            retries=settings.retry_policy,
            replays=settings.replay_limits,
        )
        self._delivery = Delivery(
            log,
            self._counters,
            replay_limits=settings.replay_limits,
            replay_bytes_per_s=settings.replay_bytes_per_s,
            clock=clock,
            loop=loop,
            fail=self._write_failed,
        )
        self._departures = Closer(
            log,
            self._registry,
            self._delivery,
            clock=clock,
            close_timeout_s=settings.write_timeout_s,
        )
        self._intake = Intake(log, self._registry, self._delivery, self._counters)
        self._patrol = Housekeeping(
            settings,
            log,
            self._registry,
            self._counters,
            clock=clock,
            loop=loop,
            cut=self._departures.cut,
            chores=self._chores,
        )

    # Publishing

    def publish(self, entry: LogEntry) -> None:
        """Append one event and have it delivered; one that is known already changes nothing."""
        self._intake.publish(entry)

    def publish_many(self, entries: Iterable[LogEntry]) -> None:
        """Append events in the order of their positions."""
        for entry in entries:
            self._intake.publish(entry)

    def advance(self, seq: int) -> None:
        """Note a position that the log has passed without an event (a canary, a deleted one)."""
        self._log.advance(seq)

    def reset_epoch(self, epoch: str, position: int = 0) -> None:
        """Go on at `position`, behind a `gap`: a new epoch, or a hole in the same one."""
        self._intake.reset_epoch(epoch, position)

    async def caught_up(self) -> None:
        """Wait until everything published is delivered, to those who take it.

        Streams with a full socket and replays are not waited for. A backplane reader that awaits
        this between batches cannot outrun the sweep.
        """
        await self._delivery.idle()

    # The doors

    def protocol_class(self) -> type[FastPathProtocol]:
        """The HTTP protocol to give to ``uvicorn.Config(http=...)``, bound to this engine."""
        ordinary = type("EngineTakeover", (HttpProtocol,), {"engine": self})
        bound = {"__slots__": (), "engine": self, "ordinary": ordinary}
        return type("EngineArrival", (FastPathProtocol,), bound)

    def decide(self, request: StreamRequest, way: Way) -> Decision:
        """Ask the door and count its answer."""
        pod = PodView(
            refusing=self.refusing,
            bounce_retry_ms=self.bounce_retry_ms,
            streams=self._registry.open.count,
            arrivals=self._registry.arrived_total,
            streams_of=self._registry.streams_of,
        )
        decision = self._door.decide(request, pod, way)
        self._counters.decided(decision)
        return decision

    def refuse(self, error: CallerError) -> Refuse:
        """A refusal that was found before the door, counted."""
        refusal = Refuse(error)
        self._counters.decided(refusal)
        return refusal

    def admit(self, transport: StreamTransport, accepted: Accept) -> Stream:
        """Enter a new stream on `transport`; `open_with` must follow before anything else runs."""
        wanted = accepted.wanted
        stream = Stream(
            self,
            transport,
            self._registry.audiences.of(wanted.topics, self._log.head),
            number=self._registry.arrived_total,
            client=wanted.client,
            handover=wanted.handover,
            spread_ms=accepted.spread_ms,
            cursor=accepted.position,
            now=self._clock(),
        )
        self._registry.admit(stream)
        return stream

    def open_with(self, stream: Stream, accepted: Accept, head: bytes) -> None:
        """Write `head` (a response head or nothing), the first bytes and what fits of a replay."""
        data = head + frame(accepted.first) + self._delivery.newcomer(stream, stream.accepted_s)
        self._counters.gaps += accepted.gap is not None
        self._counters.bytes += len(data)
        try:
            stream.transport.write(data)
        except Exception:  # noqa: BLE001 - one stream's error ends that stream only
            self._write_failed(stream)

    # Life

    def start(self) -> None:
        """Begin to watch the time: heartbeats, timeouts, deadlines."""
        self.header_timeouts.expire(self._clock())
        self._patrol.start()

    def stop(self) -> None:
        """Cut what is left and stop all timers; nothing is scheduled afterwards."""
        self._patrol.stop()
        self._delivery.stop()
        self.cut_all()
        self.abort_lingering()

    def abort_lingering(self) -> int:
        """Cut what was let go and is still up, so that no peer holds the process; returns it."""
        return self._departures.abort_lingering()

    # The Streams port

    @property
    def open_count(self) -> int:
        """Streams that have not had their goodbye."""
        return self._registry.open.count

    @property
    def lingering_count(self) -> int:
        """Streams that have had their goodbye, or are ending, and are still up."""
        return self._registry.lingering.count + len(self._registry.closing)

    @property
    def arrived_total(self) -> int:
        """Streams ever accepted; minus all of `ended_total` it is `open_count`."""
        return self._registry.arrived_total

    @property
    def ended_total(self) -> Mapping[str, int]:
        """Streams ever ended by cause; a stream has ended with its goodbye."""
        return self._registry.ended_total

    @property
    def bounced_total(self) -> Mapping[str, int]:
        """Streams ever bounced, by reason."""
        return self._counters.bounced

    @property
    def refused_total(self) -> Mapping[str, int]:
        """Stream requests ever refused, by error code."""
        return self._counters.refused

    @property
    def counters(self) -> Mapping[str, int]:
        """Engine counters, see `Counters`."""
        return self._counters.to_mapping()

    def let_go(self, count: int, goodbye: Goodbye) -> int:
        """Say goodbye to up to `count` streams; returns how many it was."""
        return self._departures.let_go(count, goodbye)

    def end_client(self, client: str, goodbye: Goodbye) -> int:
        """Say goodbye to every stream of `client`; returns how many it had."""
        streams = [*self._registry.clients.get(client, ())]
        for stream in streams:
            self._departures.goodbye(stream, goodbye)
        return len(streams)

    def cut_all(self) -> int:
        """End every stream without a goodbye, at once; returns how many there were."""
        streams = [*self._registry.open, *self._registry.lingering]
        for stream in streams:
            self._departures.cut(stream, "cut")
        return len(streams)

    def clients(self) -> Mapping[str, int]:
        """Open streams per client id."""
        return {client: len(streams) for client, streams in self._registry.clients.items()}

    def streams_of(self, client: str) -> Sequence[StreamInfo]:
        """The open streams of `client`."""
        now = self._clock()
        return [
            StreamInfo(
                stream=stream.name,
                client=stream.client,
                topics=stream.audience.topics,
                age_s=now - stream.accepted_s,
                cursor=final_cursor(self._log, stream),
                lagging=not stream.live,
            )
            for stream in self._registry.clients.get(client, ())
        ]

    # What streams tell (`Host`)

    def client_spoke(self, stream: Stream) -> None:
        """Bytes behind the request: whatever they are, this is not a stream's client."""
        if stream.phase in (Phase.OPEN, Phase.LINGERING):
            self._departures.end(stream, "client")

    def stalled(self, stream: Stream) -> None:
        """The socket is full: no pass comes to this stream until it drains."""
        stream.live = False
        stream.stall = (stream.transport.get_write_buffer_size(), self._clock())
        self._counters.stalls += 1

    def flowing(self, stream: Stream) -> None:
        """The socket has drained."""
        stream.stall = None
        if stream.phase is Phase.OPEN:
            self._delivery.late(stream)

    def lost(self, stream: Stream, error: Exception | None) -> None:
        """The connection is gone."""
        self._registry.gone(stream, _cause(error))

    # Within

    def _write_failed(self, stream: Stream) -> None:
        self._departures.cut(stream, "error")

    def _chores(self, now: float) -> None:
        self._counters.handshake_timeouts += self.header_timeouts.expire(now)
        self._departures.expire(now)


def _cause(error: Exception | None) -> str:
    """Why a connection was lost: its client left, or did not answer any more."""
    if error is None or isinstance(error, ConnectionError):
        return "client"
    return "dead" if isinstance(error, TimeoutError) else "error"
