"""The engine's face: it puts the parts together and is what the rest of the sidecar calls.

`Admission` lets streams in, `Registry` holds them, `LogReader` takes in what the backplane reads,
`Delivery` writes to the streams what they lack, `Closer` ends them, `Expiries` those whose token
ends, `Housekeeping` does what time demands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.types import ASGIApp

from tidegate.auth.guard import Guard
from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.drain.decision import Goodbye
from tidegate.stream.log import EventLog
from tidegate.stream.requests import Recalled
from tidegate_process.ports import Port
from tidegate_sidecar.engine import ways
from tidegate_sidecar.engine.admission import Admission
from tidegate_sidecar.engine.closer import Closer
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.delivery import Delivery
from tidegate_sidecar.engine.expiries import Expiries
from tidegate_sidecar.engine.fast_path import FastPathProtocol
from tidegate_sidecar.engine.housekeeping import Housekeeping
from tidegate_sidecar.engine.memory import StreamMemory
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.public_limits import port_limits
from tidegate_sidecar.engine.reader import LogReader
from tidegate_sidecar.engine.registry import Registry
from tidegate_sidecar.engine.stream import Stream, final_cursor
from tidegate_sidecar.streams import StreamInfo


class Engine:
    """All streams of one pod; implements `tidegate_sidecar.streams.Streams`.

    `clock` gives monotonic seconds, `loop` is the one loop on which everything is called. `log`
    belongs to the engine from here on; `reader` fills it. `recall` looks up what a client has
    acknowledged. `port` holds the connections that are no streams; `descriptors_below` is its own.
    Without a `guard` everybody may read; `wall_clock` gives seconds since 1970, by which tokens
    end.
    """

    def __init__(
        self,
        streams: StreamSettings,
        limits: Limits,
        log: EventLog,
        *,
        pod_name: str,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        recall: Callable[[StreamKey | None], Awaitable[Recalled]] | None = None,
        descriptors_below: int | None = None,
        guard: Guard | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._clock = clock
        self.port = Port("public", port_limits(streams, limits), clock, descriptors_below)
        self._counters = Counters()
        self._registry = Registry(StreamMemory(limits.max_stream_bytes))
        self._delivery = Delivery(
            streams,
            log,
            self._counters,
            clock=clock,
            loop=loop,
            memory=self._registry.memory,
            cut=self._cut,
        )
        self._closer = Closer(
            log,
            self._registry,
            self._delivery,
            clock=clock,
            close_timeout_s=streams.write_timeout_s,
        )
        retry_ms = streams.retry_base_ms if streams.retry else 0
        self._expiries = Expiries(self._closer, wall_clock, retry_ms)
        self._housekeeping = Housekeeping(
            streams,
            log,
            self._registry,
            self._counters,
            self._delivery.backlog,
            clock=clock,
            loop=loop,
            cut=self._closer.cut,
            chores=self._chores,
        )
        self.reader = LogReader(log, self._registry, self._delivery, self._counters, clock)
        self.admission = Admission(
            streams,
            limits,
            log,
            self._registry,
            self._delivery,
            self._counters,
            pod_name=pod_name,
            clock=clock,
            host=self,
            cut=self._cut,
            recall=recall or _nothing_kept,
            guard=guard,
            watch=self._expiries.watch,
        )
        self.gate = self.admission.gate
        self.asgi_app: ASGIApp = ways.asgi_app(self.admission)

    def protocol_class(self) -> type[FastPathProtocol]:
        """The HTTP protocol to give to ``uvicorn.Config(http=...)``, bound to this engine."""
        return ways.protocol_class(self.admission, self.port)

    # Life

    def start(self) -> None:
        """Begin to watch the time: heartbeats, timeouts, deadlines."""
        self._housekeeping.start()

    def stop(self) -> None:
        """Cut what is left and stop all timers; nothing is scheduled afterwards."""
        self._housekeeping.stop()
        self._delivery.stop()
        self.cut_all()
        self.abort_lingering()

    def abort_lingering(self) -> int:
        """Cut what was let go and is still up, so that no peer holds the process; returns it."""
        return self._closer.abort_lingering()

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
    def memory_bytes(self) -> int:
        """What streams hold of the budget for their memory."""
        return self._registry.memory.bytes + self._delivery.backlog.bytes

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
        """Send a goodbye to up to `count` streams; returns their number."""
        return self._closer.let_go(count, goodbye)

    def end_client(self, client: str, goodbye: Goodbye) -> int:
        """Send a goodbye to every stream of `client`; returns their number."""
        streams = [*self._registry.clients.get(client, ())]
        for stream in streams:
            self._closer.goodbye(stream, goodbye)
        return len(streams)

    def cut_all(self) -> int:
        """End every stream without a goodbye, at once; returns how many there were."""
        streams = [*self._registry.open, *self._registry.lingering]
        for stream in streams:
            self._closer.cut(stream, "cut")
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

    # Called by streams (`Host`)

    def client_spoke(self, stream: Stream) -> None:
        """Bytes behind the request: whatever they are, this is not a stream's client."""
        if stream.phase in (Phase.OPEN, Phase.LINGERING):
            self._closer.end(stream, "client")

    def stalled(self, stream: Stream) -> None:
        """The socket is full: no pass comes to this stream until it drains."""
        self._delivery.stalled(stream)

    def flowing(self, stream: Stream) -> None:
        """The socket has drained."""
        self._delivery.flowing(stream)

    def lost(self, stream: Stream, error: Exception | None) -> None:
        """The connection is gone."""
        self._delivery.backlog.end(stream)
        self._expiries.forget(stream)
        self._registry.gone(stream, _cause(error))

    # Within

    def _cut(self, stream: Stream, cause: str) -> None:
        self._closer.cut(stream, cause)

    def _chores(self, now: float) -> None:
        self.port.expire()
        self._closer.expire(now)
        self._expiries.step()


def _cause(error: Exception | None) -> str:
    """Why a connection was lost: its client left, or did not answer any more."""
    if error is None or isinstance(error, ConnectionError):
        return "client"
    return "dead" if isinstance(error, TimeoutError) else "error"


async def _nothing_kept(_: StreamKey | None) -> Recalled:
    """The answer of an engine that stands alone: no store, so nothing was ever kept."""
    return Recalled()
