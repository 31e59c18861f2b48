"""The event log: a bounded ring of encoded events, and an index from audience to positions.

The bound in bytes counts everything that is kept for an event: its encoding, its place in the
ring, one position in the index for every topic it is for, and the topics themselves. Where a small
event is for many topics, that is most of it (10,000 events of 60 bytes for 500 topics each held
450 MiB while only encodings were counted).

Each event is encoded and framed as an HTTP chunk once, when it is appended; whatever is written
later, live or replayed, is a join of those chunks. The index holds the positions per topic, per
client and of events for all, so that the events a stream lacks are found by binary search and a
merge, never by a scan.

Positions are the backplane's global sequence numbers. They only grow but need not be dense: what
a position without an event means is for the backplane to know (`EventLog.advance`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.lives import Lives, one_life
from tidegate.stream.positions import Positions
from tidegate.wire.cursors import Cursor
from tidegate.wire.encode import encode_event
from tidegate.wire.http import frame

_DEFAULT = StreamSettings()


EVENT_BYTES = 320
"""What CPython keeps for an event beside its encoding and its topics: two dictionary and deque
slots with their slack, a position, a record, a bytes header. `tests/stream/test_ring_memory.py`
measures that the sum is no less than what the process grows by."""

AUDIENCE_BYTES = 32
"""The same for each topic of an event: a reference, and a position in a list that may be half
empty."""

INDEXED_BYTES = 360
"""The same for a topic or client that the ring holds events of, beside its name."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event as the backplane hands it over; `seq` ≥ 1 only grows within an epoch."""

    seq: int
    to: To
    data: str
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to write next: framed `data` of `count` events, and where the cursor then stands.

    `complete`: nothing is lacking after it.
    """

    data: bytes
    count: int
    position: int
    complete: bool


class _Indexed(Positions):
    """The positions of one topic or client, and where they are indexed."""

    __slots__ = ("index", "name")

    def __init__(self, index: dict[str, _Indexed], name: str) -> None:
        super().__init__()
        self.index = index
        self.name = name


class EventLog:
    """The ring, bounded by `max_events` and by `max_bytes` of all it keeps.

    `epoch` is 1 to 40 of ``0-9 A-Z a-z . _ -``; `position` is the position before the first event
    to come. `head` is the newest position known, `floor` the oldest from which a stream can go on
    without a hole.
    """

    def __init__(
        self,
        epoch: str,
        position: int = 0,
        *,
        max_events: int = _DEFAULT.ring_events,
        max_bytes: int = _DEFAULT.ring_bytes,
    ) -> None:
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.reset(epoch, position)

    def reset(self, epoch: str, position: int = 0, lives: Lives | None = None) -> None:
        """Forget everything and go on in `epoch` at `position`; `lives` it had before, if any."""
        self.lives = one_life(epoch) if lives is None else lives
        self.epoch = self.lives.epoch
        self.head = self.floor = position
        self.bytes = 0
        self._chunks: dict[int, bytes] = {}
        self._order: deque[tuple[int, tuple[_Indexed, ...]]] = deque()
        self._everyone = Positions()
        self._topics: dict[str, _Indexed] = {}
        self._clients: dict[str, _Indexed] = {}

    def __len__(self) -> int:
        return len(self._order)

    def cursor(self, position: int) -> str:
        """The id that stands for `position`."""
        return str(Cursor(self.epoch, position))

    def append(self, entry: LogEntry) -> bytes | None:
        """Add an event; returns it encoded and framed, or ``None`` for one that is known already.

        A repeated or reordered delivery by the backplane is recognised by its position. Raises
        `CallerError` for text that cannot be sent; the log is unchanged then.
        """
        if entry.seq <= self.head:
            return None
        event_id = self.cursor(entry.seq)
        chunk = frame(encode_event(entry.data, event=entry.event, event_id=event_id))
        self.head = entry.seq
        self._chunks[entry.seq] = chunk
        audiences = self._audiences(entry.to)
        self.bytes += _event_bytes(chunk, audiences)
        self._order.append((entry.seq, audiences))
        if entry.to.everyone:
            self._everyone.append(entry.seq)
        for positions in audiences:
            positions.append(entry.seq)
        while len(self._order) > self.max_events or self.bytes > self.max_bytes:
            self._evict()
        return chunk

    def advance(self, seq: int) -> None:
        """Note that the log has reached `seq` without an event."""
        self.head = max(self.head, seq)

    def floor_after(self, count: int, size: int) -> int:
        """The floor once `count` more events, of `size` bytes together, have been appended."""
        events = len(self._order) + count - self.max_events
        excess = self.bytes + size - self.max_bytes
        floor = self.floor
        for seq, audiences in self._order:
            if events <= 0 and excess <= 0:
                break
            floor = seq
            events -= 1
            excess -= _event_bytes(self._chunks[seq], audiences)
        return floor

    def lacking(
        self,
        topics: tuple[str, ...],
        client: str | None,
        position: int,
        *,
        max_events: int,
        max_bytes: int,
    ) -> Batch:
        """The oldest events above `position` for an audience, bounded (at least one, if any).

        `position` must not be below `floor`: what has left the ring is a gap, see `resume`.
        """
        seqs, more = self._oldest(topics, client, position, max_events)
        chunks: list[bytes] = []
        size = 0
        for seq in seqs:
            chunk = self._chunks[seq]
            size += len(chunk)
            if chunks and size > max_bytes:
                return Batch(b"".join(chunks), len(chunks), position, False)
            chunks.append(chunk)
            position = seq
        if not more:
            position = max(position, self.head)
        return Batch(b"".join(chunks), len(chunks), position, not more)

    def newest_start(
        self,
        topics: tuple[str, ...],
        client: str | None,
        position: int,
        *,
        max_events: int,
        max_bytes: int,
    ) -> int:
        """The lowest start ≥ `position` after which everything fits both bounds."""
        limit = max_events + 1
        seqs = _merged(p.last_after(position, limit) for p in self._audience_of(topics, client))
        size = 0
        for count, seq in enumerate(reversed(seqs), start=1):
            size += len(self._chunks[seq])
            if count > max_events or size > max_bytes:
                return seq
        return position

    def _oldest(
        self, topics: tuple[str, ...], client: str | None, position: int, limit: int
    ) -> tuple[list[int], bool]:
        sources = [p.first_after(position, limit) for p in self._audience_of(topics, client)]
        seqs = _merged(sources)
        # A source cut short has given `limit` positions, so what it lacks lies beyond the result.
        more = len(seqs) > limit or any(len(source) == limit for source in sources)
        return seqs[:limit], more

    def _audience_of(self, topics: tuple[str, ...], client: str | None) -> Iterator[Positions]:
        if len(self._everyone):
            yield self._everyone
        for topic in topics:
            if (positions := self._topics.get(topic)) is not None:
                yield positions
        if client is not None and (positions := self._clients.get(client)) is not None:
            yield positions

    def _audiences(self, to: To) -> tuple[_Indexed, ...]:
        if to.client is not None:
            return (self._indexed(self._clients, to.client),)
        return tuple(self._indexed(self._topics, topic) for topic in dict.fromkeys(to.topics))

    def _indexed(self, index: dict[str, _Indexed], name: str) -> _Indexed:
        positions = index.get(name)
        if positions is None:
            positions = index[name] = _Indexed(index, name)
            self.bytes += INDEXED_BYTES + len(name)
        return positions

    def _evict(self) -> None:
        seq, audiences = self._order.popleft()
        self.floor = seq
        self.bytes -= _event_bytes(self._chunks.pop(seq), audiences)
        self._everyone.drop(seq)
        for positions in audiences:
            positions.drop(seq)
            if not len(positions):
                del positions.index[positions.name]
                self.bytes -= INDEXED_BYTES + len(positions.name)


def _event_bytes(chunk: bytes, audiences: tuple[_Indexed, ...]) -> int:
    return len(chunk) + EVENT_BYTES + AUDIENCE_BYTES * len(audiences)


def _merged(sources: Iterable[list[int]]) -> list[int]:
    """Ascending, each position once: an event may reach an audience by several topics."""
    filled = [source for source in sources if source]
    if len(filled) <= 1:
        return filled[0] if filled else []
    return sorted(set().union(*filled))
