"""How streams end: with a goodbye, at a deadline, by a cut. Every way has a bound in time.

A goodbye carries as its id the position up to which the stream's audience has been handed to its
connection, so that the client goes on exactly there: what is lacking is flushed first, and where
the socket is full the id is the stream's own cursor. A plain stream ends right behind its goodbye
(last chunk, close). A handover stream gets nothing but heartbeats any more and ends when its
client closes it, at the latest after the goodbye's deadline.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from tidegate.contract.stream_events import Shutdown
from tidegate.drain.decision import Goodbye
from tidegate.drain.mixing import Mix
from tidegate.stream.log import EventLog
from tidegate.wire.encode import encode_shutdown
from tidegate.wire.http import LAST_CHUNK, frame
from tidegate_sidecar.engine.delivery import Delivery
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.registry import Registry
from tidegate_sidecar.engine.stream import Stream, final_cursor


class Closer:
    """Ends streams; `close_timeout_s` is how long last bytes may take to leave."""

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        delivery: Delivery,
        *,
        clock: Callable[[], float],
        close_timeout_s: float,
    ) -> None:
        self._log = log
        self._registry = registry
        self._delivery = delivery
        self._clock = clock
        self._close_timeout_s = close_timeout_s
        self._mix = Mix()
        self._deadlines: list[tuple[float, int, Stream]] = []
        self._said: tuple[tuple[Goodbye, str, bool], bytes] | None = None

    def let_go(self, count: int, goodbye: Goodbye) -> int:
        """Send a goodbye to up to `count` open streams; returns their number.

        Those that hand over go in step with those that do not (`Mix`), of each kind the oldest.
        """
        here = self._registry.open
        for done in range(count):
            if not here.count:
                return done
            hands_over, self._mix = self._mix.next(here.plain.count, here.handing_over.count)
            stream = (here.handing_over if hands_over else here.plain).oldest
            assert stream is not None
            self.goodbye(stream, goodbye)
        return count

    def goodbye(self, stream: Stream, goodbye: Goodbye) -> None:
        """Let one open stream go."""
        self._delivery.flush(stream)
        if stream.phase is not Phase.OPEN:
            return  # its transport failed on the flush
        last_words = self._last_words(goodbye, final_cursor(self._log, stream), stream.handover)
        now = self._clock()
        stream.last_write_s = now
        if stream.handover:
            self._registry.linger(stream, goodbye.reason)
            deadline_s = now + goodbye.deadline_ms / 1000.0
            heapq.heappush(self._deadlines, (deadline_s, stream.number, stream))
            self._try_write(stream, last_words)
        else:
            self._close(stream, goodbye.reason, last_words)

    def write(self, stream: Stream, data: bytes) -> None:
        """Write whole chunks to a stream that has not had its goodbye."""
        if stream.phase is Phase.OPEN:
            stream.last_write_s = self._clock()
            self._try_write(stream, data)

    def end(self, stream: Stream, cause: str) -> None:
        """End a stream without a goodbye but cleanly."""
        self._close(stream, cause, LAST_CHUNK)

    def cut(self, stream: Stream, cause: str) -> None:
        """End a stream at once; its buffer is lost and the client sees a truncated body."""
        self._registry.close(stream, cause, self._clock() + self._close_timeout_s)
        stream.transport.abort()

    def expire(self, now: float) -> None:
        """End what is past its deadline: handovers cleanly, lasting closes by force."""
        while self._deadlines and self._deadlines[0][0] <= now:
            stream = heapq.heappop(self._deadlines)[2]
            if stream.phase is Phase.LINGERING:
                self.end(stream, "deadline")
        overdue = []
        for stream, deadline_s in self._registry.closing.items():
            if deadline_s > now:
                break  # entered in the order of their deadlines
            overdue.append(stream)
        for stream in overdue:
            self.cut(stream, "deadline")

    def abort_lingering(self) -> int:
        """Cut everything that has been let go and is still up; returns how many."""
        up = [*self._registry.lingering, *self._registry.closing]
        for stream in up:
            self.cut(stream, "aborted")
        self._deadlines.clear()
        return len(up)

    def _close(self, stream: Stream, cause: str, last_bytes: bytes) -> None:
        self._registry.close(stream, cause, self._clock() + self._close_timeout_s)
        if self._try_write(stream, last_bytes):
            stream.transport.close()

    def _try_write(self, stream: Stream, data: bytes) -> bool:
        try:
            stream.transport.write(data)
        except Exception:  # noqa: BLE001 - one stream's error ends that stream only
            stream.transport.abort()
            return False
        return True

    def _last_words(self, goodbye: Goodbye, cursor: str, handover: bool) -> bytes:
        """The framed goodbye; the last one is kept, since many streams stand at one position."""
        key = (goodbye, cursor, handover)
        if self._said is None or self._said[0] != key:
            shutdown = Shutdown(
                goodbye.reason,
                reconnect_after_ms=0 if handover else goodbye.retry_ms,
                deadline_ms=goodbye.deadline_ms if handover else 0,
            )
            words = frame(encode_shutdown(shutdown, cursor))
            self._said = (key, words if handover else words + LAST_CHUNK)
        return self._said[1]
