"""The housekeeping: everything that depends on time, in small steps and without a timer per stream.

A hand goes round over all streams, eight times per heartbeat interval, and looks at each: is a
heartbeat due, has its socket been full for too long, does a quiet one need a `cursor` event,
has the pod outgrown the `retry:` of an early one?
However many streams a broadcast has aligned, their next heartbeats are spread over the round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.log import EventLog
from tidegate.stream.retries import outgrown_ms, reassign
from tidegate.wire.encode import HEARTBEAT, encode_cursor, encode_retry
from tidegate.wire.http import frame
from tidegate_sidecar.engine.backlog import Backlog
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.registry import Ages, Registry
from tidegate_sidecar.engine.stream import Stream

ROUNDS = 8
"""Rounds per heartbeat interval: a heartbeat comes at most half a round late or early."""

STEP_S = 0.05
"""The longest time between two steps."""

_HEARTBEAT = frame(HEARTBEAT)


class HeartbeatWheel:
    """The streams that one hand goes round over, and the visits that are due to them."""

    def __init__(self, ages: Ages) -> None:
        self.ages = ages
        self._due = 0.0

    def visits(self, share: float) -> int:
        """How many to look at in this `share` of a round; what is not whole is kept."""
        count = self.ages.count
        due = self._due + count * share
        visits = min(int(due), count)
        self._due = due - visits if visits == int(due) else 0.0
        return visits


class Housekeeping:
    """Steps on a timer; `cut` ends a stream by force, `chores` run at each step."""

    def __init__(
        self,
        settings: StreamSettings,
        log: EventLog,
        registry: Registry,
        counters: Counters,
        backlog: Backlog,
        *,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        cut: Callable[[Stream, str], None],
        chores: Callable[[float], None],
    ) -> None:
        self._log = log
        self._registry = registry
        self._counters = counters
        self._backlog = backlog
        self._clock = clock
        self._loop = loop
        self._cut = cut
        self._chores = chores
        self._settings = settings
        self._write_timeout_s = settings.write_timeout_s
        self._round_s = settings.heartbeat_s / ROUNDS
        self._idle_s = settings.heartbeat_s - self._round_s / 2
        self._rounds_per_cursor = max(1, round(settings.cursor_every_s / self._round_s))
        self._step_s = min(STEP_S, self._round_s / 2, settings.write_timeout_s / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._stepped_s = 0.0
        self._outgrown_ms = 0.0
        open_ = registry.open
        self._beats = [
            HeartbeatWheel(a) for a in (open_.plain, open_.handing_over, registry.lingering)
        ]

    def start(self) -> None:
        """Begin stepping."""
        self._stepped_s = self._clock()
        self._timer = self._loop.call_later(self._step_s, self._step)

    def stop(self) -> None:
        """Step no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        now = self._clock()
        self._timer = self._loop.call_later(self._step_s, self._step)
        share = min(1.0, (now - self._stepped_s) / self._round_s)
        self._stepped_s = now
        self._outgrown_ms = outgrown_ms(self._settings, self._registry.open.count)
        for beat in self._beats:
            self._walk(beat, share, now)
        self._chores(now)

    def _walk(self, beat: HeartbeatWheel, share: float, now: float) -> None:
        """Look at the next `share` of a round of streams."""
        for _ in range(beat.visits(share)):
            stream = beat.ages.next()
            if stream is None:
                return
            self._look_at(stream, beat.ages.rounds, now)

    def _look_at(self, stream: Stream, rounds: int, now: float) -> None:
        if stream.stall is not None:
            if self._backlog.stalled_s(stream, now) >= self._write_timeout_s:
                self._cut(stream, "slow")
        elif stream.live and self._cursor_is_due(stream, rounds):
            self._tell_cursor(stream, now)
        elif stream.live and stream.spread_ms < self._outgrown_ms:
            self._tell_retry(stream, now)
        elif now - stream.last_write_s >= self._idle_s:
            self._counters.heartbeats += 1
            self._write(stream, _HEARTBEAT, now)

    def _cursor_is_due(self, stream: Stream, rounds: int) -> bool:
        """Once in so many rounds, a different one for each stream."""
        turn = rounds + stream.number
        return turn % self._rounds_per_cursor == 0 and (
            stream.audience.head <= stream.cursor < self._log.head
        )

    def _tell_cursor(self, stream: Stream, now: float) -> None:
        """Move a quiet client's position on, and with it its `retry:` where that has outgrown."""
        stream.cursor = self._log.head
        self._counters.cursors += 1
        event = encode_cursor(self._log.cursor(stream.cursor), self._new_retry_ms(stream))
        self._write(stream, frame(event), now)

    def _tell_retry(self, stream: Stream, now: float) -> None:
        """A busy stream gets no `cursor` events; without this a crash would bring all of the first
        streams back at the start of the interval.
        """
        retry_ms = self._new_retry_ms(stream)
        if retry_ms is not None:
            self._write(stream, frame(encode_retry(retry_ms)), now)

    def _new_retry_ms(self, stream: Stream) -> int | None:
        streams = self._registry.open.count
        retry = reassign(self._settings, stream.number, streams, stream.spread_ms)
        if retry is None:
            return None
        stream.spread_ms = retry.spread_ms
        return retry.retry_ms

    def _write(self, stream: Stream, data: bytes, now: float) -> None:
        stream.last_write_s = now
        try:
            stream.transport.write(data)
        except Exception:  # noqa: BLE001 - one stream's error ends that stream only
            self._counters.failed_writes += 1
            if stream.phase is not Phase.GONE:
                self._cut(stream, "error")
