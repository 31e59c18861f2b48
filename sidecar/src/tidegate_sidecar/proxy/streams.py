"""What is open in a proxy: endless streams by age, answers that must finish, and what is closing.

Implements the port that the drain, the report and the metrics use (`tidegate_sidecar.streams`):
there a *stream* is an endless one. Everything else that is under way counts as lingering, so that a
drain ends only when each answer is complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Protocol, TypeVar

from tidegate.drain.decision import Goodbye
from tidegate.proxy.insertions import goodbye as words_of
from tidegate_sidecar.streams import Gate

T = TypeVar("T")

PART_S: Final = 1.0
"""How long a stream that was given its goodbye within an event may take to that event's end."""

CONNECTION_BYTES: Final = 4096
"""Memory of a stream with both of its connections (`bench.proxy`)."""

CLOSE_S: Final = 5.0
"""How long a client may take to read the last bytes of a stream that was let go."""


class Ending(Protocol):
    """A stream, or an answer that is under way."""

    def let_go(self, words: bytes, cause: str) -> bool:
        """End between two events, with `words` as the last one; whether that was possible now."""

    def end(self) -> None:
        """Time is up: end at once. The client can see that something is missing."""

    def beat(self, quiet_rounds: int) -> bool:
        """Send a comment line where nothing has been sent for so many rounds; whether it was."""


class Connection(Protocol):
    """A client's connection."""

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken."""

    def abort(self) -> None:
        """Close it now."""


@dataclass(slots=True)
class Counters:
    """Counters that only grow.

    `cut_finite` are answers that were not complete when time was up. `application_away` and
    `application_timeouts` were answered with 502 and 504; `broken_answers` are those that the
    application broke off after their head.
    """

    requests: int = 0
    tunnels: int = 0
    heartbeats: int = 0
    connects: int = 0
    reused: int = 0
    cut_finite: int = 0
    cut_mid_event: int = 0
    application_away: int = 0
    application_timeouts: int = 0
    broken_answers: int = 0

    def to_mapping(self) -> dict[str, int]:
        """The counters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class ProxyStreams:
    """The streams and answers of one proxy. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.gate = Gate()
        self.counts = Counters()
        self.arrived_total = 0
        self.ended_total: Counter[str] = Counter()
        self.bounced_total: Counter[str] = Counter()
        self.refused_total: Counter[str] = Counter()
        self.endless: dict[Ending, None] = {}
        self.answers: dict[Ending, None] = {}
        self.connections: set[Connection] = set()
        self._parting: dict[Ending, float] = {}
        self._finishing: dict[Ending, float] = {}
        self._closing: dict[Connection, float] = {}
        self._clock = clock

    @property
    def open_count(self) -> int:
        """Endless streams that have had no goodbye."""
        return len(self.endless)

    @property
    def lingering_count(self) -> int:
        """Streams within their last event, connections that are closing, unfinished answers."""
        under_way = len(self.answers) + len(self._finishing)
        return len(self._parting) + len(self._closing) + under_way

    @property
    def memory_bytes(self) -> int:
        """What connections hold, by what one was measured to take, and what waits in them."""
        waiting = sum(each.get_write_buffer_size() for each in self.connections)
        return len(self.connections) * CONNECTION_BYTES + waiting

    @property
    def counters(self) -> Mapping[str, int]:
        """For `/metrics` and `/status`."""
        return {**self.counts.to_mapping(), "answers_under_way": len(self.answers)}

    def opened(self, stream: Ending) -> None:
        """An answer has turned out to be an endless stream."""
        self.answers.pop(stream, None)
        self.endless[stream] = None
        self.arrived_total += 1

    def tunnelled(self, exchange: Ending) -> None:
        """An answer has become a tunnel, which no drain waits for: it has no end to wait for."""
        self.answers.pop(exchange, None)
        self.counts.tunnels += 1

    def ended(self, stream: Ending, cause: str) -> None:
        """A stream or an answer is over; only the first call for it counts."""
        self.answers.pop(stream, None)
        self._finishing.pop(stream, None)
        if self.endless.pop(stream, self) is None or self._parting.pop(stream, None) is not None:
            self.ended_total[cause] += 1

    def closes(self, connection: Connection) -> None:
        """The last bytes of `connection` are on their way."""
        self._closing[connection] = self._clock() + CLOSE_S

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._closing.pop(connection, None)

    def let_go(self, count: int, goodbye: Goodbye) -> int:
        """Send a goodbye to up to `count` streams, the oldest first; returns their number."""
        words = words_of(goodbye.reason, goodbye.retry_ms)
        going = [stream for stream, _ in zip(self.endless, range(count), strict=False)]
        for stream in going:
            if not stream.let_go(words, goodbye.reason):
                del self.endless[stream]
                self._parting[stream] = self._clock() + PART_S
        return len(going)

    def cut_all(self) -> int:
        """End everything at once; returns how many streams there were."""
        count = len(self.endless) + len(self._parting)
        for stream in [*self.endless, *self._parting, *self.answers, *self._finishing]:
            stream.end()
        return count

    def beat(self, quiet_rounds: int) -> None:
        """One round of heartbeats."""
        for stream in self.endless:
            self.counts.heartbeats += stream.beat(quiet_rounds)

    def expire(self, now: float) -> None:
        """End what has taken too long to part or to close."""
        for stream in _late(self._parting, now):
            self.counts.cut_mid_event += 1
            stream.end()
        for answer in _late(self._finishing, now):
            answer.end()
        for connection in _late(self._closing, now):
            self.closed(connection)
            connection.abort()

    def finish(self) -> None:
        """Time is up for the answers: each ends, at an event's end where it has such, as cut."""
        for answer in list(self.answers):
            self.counts.cut_finite += 1
            if not answer.let_go(b"", "deadline"):
                del self.answers[answer]
                self._finishing[answer] = self._clock() + PART_S

    def abort_lingering(self) -> int:
        """Cut everything that is left; returns how many that were."""
        left = [*self.endless, *self._parting, *self.answers, *self._finishing]
        for stream in left:
            stream.end()
        for connection in list(self._closing):
            connection.abort()
        return len(left) + len(self._closing)


def _late(due: dict[T, float], now: float) -> list[T]:
    late = []
    for each, at in due.items():
        if at > now:
            break
        late.append(each)
    return late
