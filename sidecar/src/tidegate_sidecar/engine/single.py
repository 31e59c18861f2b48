"""Writes to one stream what it lacks, read from the log for it alone.

The way of every stream that a pass does not reach: newcomers, sockets that have drained again,
clients with an event of their own, replays. Passes share pieces and count for themselves
(`delivery`).
"""

from __future__ import annotations

from collections.abc import Callable

from tidegate.contract.stream_events import Gap
from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.log import EventLog
from tidegate.stream.resume import catch_up
from tidegate.wire.encode import encode_gap
from tidegate.wire.http import frame
from tidegate_sidecar.engine.counters import Counters
from tidegate_sidecar.engine.stream import Stream

LATE_BYTES = 64 * 1024
"""The most that a stream served on its own gets at once."""

LATE_EVENTS = 512
"""The same in events."""


class SingleWrites:
    """Reads `log` for a stream and writes; `cut` ends a stream whose transport has raised."""

    def __init__(
        self,
        settings: StreamSettings,
        log: EventLog,
        counters: Counters,
        cut: Callable[[Stream, str], None],
    ) -> None:
        self._settings = settings
        self._log = log
        self._counters = counters
        self._cut = cut

    def serve(self, stream: Stream, now: float) -> int:
        """Write the next events that `stream` lacks; live once those were all. Returns bytes."""
        before = self._counters.deliveries
        try:
            data = self.take(stream)
        except Exception:  # noqa: BLE001 - one stream's error ends that stream only
            self.failed(stream)
            return 0
        if data:
            self.write(stream, data, 0, now)
        self._counters.replayed += self._counters.deliveries - before
        return len(data)

    def take(self, stream: Stream) -> bytes:
        """Move the cursor of `stream` on and return the bytes that lie between."""
        notice = self._notice(stream)
        batch = self._log.lacking(
            stream.audience.topics,
            stream.client,
            stream.cursor,
            max_events=LATE_EVENTS,
            max_bytes=LATE_BYTES,
        )
        stream.cursor = batch.position
        stream.live = batch.complete
        self._counters.deliveries += batch.count
        return notice + batch.data

    def _notice(self, stream: Stream) -> bytes:
        """A `gap` where something is lost to this stream, else nothing."""
        start = catch_up(
            self._log,
            stream.audience.topics,
            stream.client,
            stream.cursor,
            self._settings,
        )
        # Events dropped since a loss that is not announced yet belong to the same gap.
        stream.cursor = start.position
        gap = start.gap
        if stream.lost is not None:
            seen, reason = stream.lost
            stream.lost = None
            gap = Gap(seen, self._log.cursor(stream.cursor), reason)
        if gap is None:
            return b""
        self._counters.gaps += 1
        return frame(encode_gap(gap))

    def write(self, stream: Stream, data: bytes, count: int, now: float) -> None:
        """Write `data`, which holds `count` events not counted yet."""
        stream.last_write_s = now
        self._counters.deliveries += count
        self._counters.writes += 1
        self._counters.bytes += len(data)
        try:
            stream.transport.write(data)
        except Exception:  # noqa: BLE001 - one stream's error ends that stream only
            self.failed(stream)

    def failed(self, stream: Stream) -> None:
        """Count a write whose transport has raised, and end its stream."""
        self._counters.failed_writes += 1
        self._cut(stream, "error")
