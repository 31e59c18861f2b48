"""Delivery: writes to every stream what it lacks, in slices, so that the loop stays responsive.

Streams are served in three ways. A **pass** goes over the live streams of an audience that has
news: all at the same cursor get the same piece, so a visit costs a comparison and a write. The
**late** are served one by one from the log: those with a socket that has drained again, and those
of a client with an event of its own. **Replays** are those too far behind for one write: resumers
and slow consumers; a token bucket holds them back so that live delivery goes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.audience import Audience
from tidegate.stream.bucket import TokenBucket
from tidegate.stream.log import EventLog
from tidegate_sidecar.engine.backlog import Backlog
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.memory import StreamMemory
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.single import SingleWrites
from tidegate_sidecar.engine.stream import Queue, Stream

SLICE = 256
"""Streams visited per turn of the loop: about a millisecond of writes."""

LATE_SLICE = 32
"""Streams served one by one per turn of the loop."""

PIECE_BYTES = 256 * 1024
"""The most that a pass writes to a stream at once."""

REPLAY_BURST_S = 0.25
"""How much of a second's replay budget may be spent at once."""


class Delivery:
    """Serves streams; `cut` ends one at once, for a cause: its transport has raised (``error``), or
    all streams together hold more than `memory` has for it and it is among the slowest
    (``backlog``).
    """

    def __init__(
        self,
        settings: StreamSettings,
        log: EventLog,
        counters: Counters,
        *,
        memory: StreamMemory,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        cut: Callable[[Stream, str], None],
    ) -> None:
        self._log = log
        self._counters = counters
        self._clock = clock
        self._loop = loop
        self._cut = cut
        self._single = SingleWrites(settings, log, counters, cut)
        self.backlog = Backlog(memory)
        rate_per_s = settings.replay_bytes_per_s
        self._bucket = TokenBucket(rate_per_s, rate_per_s * REPLAY_BURST_S, clock())
        self._passes: deque[Audience[Stream]] = deque()
        self._late: deque[Stream] = deque()
        self._replays: deque[Stream] = deque()
        self._scheduled = False
        self._replay_timer: asyncio.TimerHandle | None = None
        self._idle_waiters: list[asyncio.Future[None]] = []

    def news(self, audience: Audience[Stream]) -> None:
        """`audience` has been given an event: a pass will go over it."""
        if not audience.dirty:
            audience.dirty = True
            audience.begin_pass()
            self._passes.append(audience)
            self._kick()

    def late(self, stream: Stream) -> None:
        """Serve `stream` on its own, soon; until then no pass does."""
        stream.live = False
        if stream.queue is Queue.NONE:
            stream.queue = Queue.LATE
            self._late.append(stream)
            self._kick()

    def stalled(self, stream: Stream) -> None:
        """The socket of `stream` is full: no pass comes to it until it drains."""
        stream.live = False
        self._counters.stalls += 1
        self.backlog.begin(stream, self._clock())
        if self.backlog.is_over:
            self._kick()

    def flowing(self, stream: Stream) -> None:
        """The socket of `stream` has drained."""
        self.backlog.end(stream)
        if stream.phase is Phase.OPEN:
            self.late(stream)

    def newcomer(self, stream: Stream, now: float) -> bytes:
        """What a new `stream` gets with its first bytes; the rest follows at replay speed."""
        if stream.cursor >= self._log.head:
            stream.live = True
            return b""
        if self._replays or self._bucket.wait_s(now) > 0.0:
            self._queue_replay(stream)
            return b""
        data = self._single.take(stream)
        self._bucket.spend(len(data))
        if not stream.live:
            self._queue_replay(stream)
        return data

    def flush(self, stream: Stream) -> None:
        """Give an open `stream` what it lacks before its goodbye, as far as that is one write."""
        audience = stream.audience
        if stream.live:
            if stream.cursor < audience.head:
                data, count, stream.cursor = audience.piece(stream.cursor, PIECE_BYTES)
                self._single.write(stream, data, count, self._clock())
        elif stream.stall is None and stream.queue is not Queue.REPLAY:
            self._single.serve(stream, self._clock())

    async def idle(self) -> None:
        """Wait until nothing is left to deliver, stalled streams and replays aside."""
        # Again after each: a socket may have drained before the waiting task runs.
        while self._passes or self._late:
            waiter = self._loop.create_future()
            self._idle_waiters.append(waiter)
            await waiter

    def stop(self) -> None:
        """Forget all work and release the waiters."""
        self._passes.clear()
        self._late.clear()
        self._replays.clear()
        if self._replay_timer is not None:
            self._replay_timer.cancel()
            self._replay_timer = None
        self._wake_waiters()

    def _kick(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        try:
            self._deliver(self._clock())
        finally:
            if self._passes or self._late:
                self._kick()
            else:
                self._wake_waiters()

    def _deliver(self, now: float) -> None:
        self._relieve(now)
        budget = SLICE
        while budget > 0 and self._passes:
            audience = self._passes[0]
            budget -= 1 + self._visit(audience, budget, now)
            if audience.visited >= len(audience.members):
                self._passes.popleft()
                self._finish(audience)
        for _ in range(min(len(self._late), LATE_SLICE)):
            self._attend(self._late.popleft(), now)
        self._replay(now)
        self._relieve(now)

    def _relieve(self, now: float) -> None:
        for stream in self.backlog.excess(now):
            self.backlog.end(stream)
            self._cut(stream, "backlog")

    def _visit(self, audience: Audience[Stream], budget: int, now: float) -> int:
        """Go on with the pass over `audience`; returns how many streams were visited."""
        start = audience.visited
        members = audience.members[start : start + budget]
        audience.visited = start + len(members)
        head = audience.head
        shared = -1
        data, count, reached = b"", 0, head
        deliveries = writes = sent = 0
        failed: list[Stream] = []
        for stream in members:
            cursor = stream.cursor
            if cursor >= head or not stream.live:
                continue
            if cursor != shared:
                data, count, reached = audience.piece(cursor, PIECE_BYTES)
                if reached < audience.reached:
                    audience.reached = reached
                shared = cursor
            stream.cursor = reached
            stream.last_write_s = now
            try:
                stream.transport.write(data)
            except Exception:  # noqa: BLE001 - one stream's error ends that stream only
                failed.append(stream)
            deliveries += count
            writes += 1
            sent += len(data)
        self._counters.deliveries += deliveries
        self._counters.writes += writes
        self._counters.bytes += sent
        for stream in failed:
            self._single.failed(stream)
        return len(members)

    def _finish(self, audience: Audience[Stream]) -> None:
        audience.end_pass()
        if audience.pending:
            audience.begin_pass()
            self._passes.append(audience)
        else:
            audience.dirty = False

    def _attend(self, stream: Stream, now: float) -> None:
        stream.queue = Queue.NONE
        if stream.phase is not Phase.OPEN or stream.stall is not None:
            return
        sent = self._single.serve(stream, now)
        if not stream.live and stream.stall is None and stream.phase is Phase.OPEN:
            self._bucket.spend(sent)
            self._queue_replay(stream)

    def _replay(self, now: float) -> None:
        turns = min(len(self._replays), LATE_SLICE)
        while turns and self._bucket.wait_s(now) <= 0.0:
            turns -= 1
            stream = self._replays.popleft()
            stream.queue = Queue.NONE
            if stream.phase is not Phase.OPEN or stream.stall is not None:
                continue
            self._bucket.spend(self._single.serve(stream, now))
            if not stream.live and stream.stall is None and stream.phase is Phase.OPEN:
                self._queue_replay(stream)
        if self._replays and self._replay_timer is None:
            wait_s = self._bucket.wait_s(now)
            self._replay_timer = self._loop.call_later(wait_s, self._replay_due)

    def _replay_due(self) -> None:
        self._replay_timer = None
        self._kick()

    def _queue_replay(self, stream: Stream) -> None:
        if stream.queue is Queue.NONE:
            stream.queue = Queue.REPLAY
            self._replays.append(stream)
            self._kick()

    def _wake_waiters(self) -> None:
        for waiter in self._idle_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._idle_waiters.clear()
