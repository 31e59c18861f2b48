"""The end of the backplane's log in this pod: events go into the ring, streams get to know.

Nothing is written to a stream here; `Delivery` does that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import GapReason
from tidegate.stream.lives import Lives
from tidegate.stream.log import EventLog, LogEntry
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.delivery import Delivery
from tidegate_sidecar.engine.registry import Registry
from tidegate_sidecar.engine.single import LATE_BYTES, LATE_EVENTS
from tidegate_sidecar.engine.stream import final_cursor

PATIENCE_S = 0.25
"""A stalled stream that has taken nothing for this long is not waited for. TCP's own timers
(delayed acknowledgement, persist) may be silent for 0.2 s while a client reads."""

READERS_S = 1.0
"""The longest that the log waits for streams that read, at a time."""

_POLL_S = 0.005


class LogReader:
    """Implements the backplane's `Reader`. `is_filled` once the ring holds what was asked for."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        delivery: Delivery,
        counters: Counters,
        clock: Callable[[], float],
    ) -> None:
        self._log = log
        self._registry = registry
        self._delivery = delivery
        self._counters = counters
        self._clock = clock
        self._on_filled: list[Callable[[], None]] = []
        self.is_filled = False

    def append(self, entry: LogEntry) -> None:
        """Append one event and mark its audiences, or the streams of its client, for delivery.

        An event at a known position changes nothing but a counter.
        """
        try:
            chunk = self._log.append(entry)
        except CallerError:
            # The publish port refuses such text; what came past it must not stop the log.
            self._counters.unsendable_events += 1
            self._log.advance(entry.seq)
            return
        if chunk is None:
            self._counters.repeated_events += 1
            return
        self._counters.events += 1
        if entry.to.client is not None:
            for stream in self._registry.clients.get(entry.to.client, ()):
                self._delivery.late(stream)
            return
        for audience in self._registry.audiences.addressed(entry.to):
            audience.append(entry.seq, chunk)
            self._delivery.news(audience)

    async def read(self, entries: Sequence[LogEntry], position: int) -> None:
        """Append a batch and note that the log is read up to `position` (a canary holds no event).

        Returns when the streams have it, so that no reader outruns them.
        """
        if self.is_filled:
            await self._append_in_pieces(entries)
        else:
            for entry in entries:
                self.append(entry)
        self._log.advance(position)
        if self.is_filled:
            await self.caught_up()

    async def _append_in_pieces(self, entries: Sequence[LogEntry]) -> None:
        """Serve the streams before what they lack is dropped: a batch may be larger than the ring.

        A piece is at most half of the ring, and no more than one stream is served at once.
        """
        log = self._log
        most_events = max(1, min(LATE_EVENTS, log.max_events // 2))
        most_bytes = min(LATE_BYTES, log.max_bytes // 2)
        start, count, size = log.head, 0, 0
        for entry in entries:
            if count and (count >= most_events or size + len(entry.data) > most_bytes):
                await self.caught_up()
                if len(self._delivery.backlog):
                    floor = log.floor_after(most_events, most_bytes)
                    await self._wait_for_readers(start, floor)
                count = size = 0
            before = log.head
            self.append(entry)
            if log.head != before:
                count += 1
                size += len(entry.data)

    async def caught_up(self) -> None:
        """Wait until everything appended is delivered, to those that take it.

        Streams with a full socket and replays are not waited for.
        """
        await self._delivery.idle()

    async def _wait_for_readers(self, start: int, floor: int) -> None:
        """Wait for streams that would lack something below `floor` and are reading.

        Those are streams that had everything up to `start` and have taken bytes within
        `PATIENCE_S`. What a client misses because it does not read is its own gap; that others
        wait for it is bounded by `PATIENCE_S` for each stall, and by `READERS_S` altogether.
        """
        backlog = self._delivery.backlog
        end = self._clock() + READERS_S
        while (now := self._clock()) < end:
            lacking = (s for s in backlog if start <= s.cursor < floor)
            if not any(backlog.stalled_s(s, now) < PATIENCE_S for s in lacking):
                return
            await asyncio.sleep(_POLL_S)
            await self.caught_up()

    def reset(self, epoch: str, position: int, lives: Lives | None = None) -> None:
        """Go on at `position` of `epoch`; a stream that has not all of it up to there gets a `gap`.

        The same epoch again is a hole: the store has dropped entries before this pod read them. A
        client that came from a pod that had read them has a cursor beyond the hole and lost none.
        """
        reason: GapReason = "lagged" if epoch == self._log.epoch else "epoch"
        behind = [s for s in self._registry.open if reason == "epoch" or s.cursor < position]
        for stream in behind:
            if stream.lost is None or reason == "epoch":
                stream.lost = (final_cursor(self._log, stream), reason)
            stream.cursor = position
        self._log.reset(epoch, position, lives)
        for audience in self._registry.audiences:
            audience.clear(position)
        for stream in behind:
            self._delivery.late(stream)

    def filled(self) -> None:
        """The ring holds what was asked for: from now on `read` waits for the streams."""
        if not self.is_filled:
            self.is_filled = True
            for call in self._on_filled:
                call()

    def when_filled(self, call: Callable[[], None]) -> None:
        """Have `call` called once, when the ring is filled."""
        self._on_filled.append(call)
