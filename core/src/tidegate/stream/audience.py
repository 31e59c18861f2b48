"""Audiences: streams that want the same topics share one object, and with it every join.

An audience keeps a short window of the newest events that concern it, only as long as one of its
live streams has not been given them. A visit to a stream is then a lookup: all streams that stand
at the same cursor get the same piece. A stream that falls behind the window is no longer live and
is served from the log instead. Events for one client alone are not in any window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from tidegate.contract.publish import To


class Member(Protocol):
    """What an audience asks of a stream: a place for its index among the members."""

    slot: int


M = TypeVar("M", bound=Member)

_MAX_PIECES = 64
"""Joins kept per audience; more cursors than slices of one pass only occur while streams join."""

Piece = tuple[bytes, int, int]
"""Framed bytes, the number of events in them, the position they lead to."""


class Audience(Generic[M]):
    """The streams of one set of topics, in no particular order, with a pass going over them.

    `members` before `visited` have been visited in the current pass. `head` is the newest
    position that concerns the audience; `reached` is what the pass has given to every live stream
    it came to, never more than `head` stood at when it began. `dirty`: a pass is due or going on.
    """

    __slots__ = (
        "_chunks",
        "_pieces",
        "_seqs",
        "dirty",
        "head",
        "members",
        "reached",
        "topics",
        "visited",
    )

    def __init__(self, topics: tuple[str, ...], head: int) -> None:
        self.topics = topics
        self.head = head
        self.members: list[M] = []
        self.visited = 0
        self.reached = head
        self.dirty = False
        self._seqs: list[int] = []
        self._chunks: list[bytes] = []
        self._pieces: dict[int, Piece] = {}

    def add(self, member: M) -> None:
        """Take a stream in; the current pass, if any, still comes to it."""
        member.slot = len(self.members)
        self.members.append(member)

    def remove(self, member: M) -> None:
        """Let a stream go in constant time, without the current pass missing another one.

        The hole moves to the border between visited and unvisited members, then to the end.
        """
        members, hole = self.members, member.slot
        if hole < self.visited:
            self.visited -= 1
            hole = self._fill(hole, self.visited)
        self._fill(hole, len(members) - 1)
        members.pop()

    def _fill(self, hole: int, source: int) -> int:
        if source != hole:
            moved = self.members[source]
            self.members[hole] = moved
            moved.slot = hole
        return source

    def append(self, seq: int, chunk: bytes) -> None:
        """Note an event that concerns this audience."""
        self.head = seq
        self._seqs.append(seq)
        self._chunks.append(chunk)
        if self._pieces:
            self._pieces.clear()

    def piece(self, position: int, max_bytes: int) -> Piece:
        """What a live stream at `position` lacks, at most about `max_bytes` of it."""
        piece = self._pieces.get(position)
        if piece is None:
            if len(self._pieces) >= _MAX_PIECES:
                self._pieces.clear()
            piece = self._pieces[position] = self._join(position, max_bytes)
        return piece

    def _join(self, position: int, max_bytes: int) -> Piece:
        start = end = bisect_right(self._seqs, position)
        size = 0
        for chunk in self._chunks[start:]:
            size += len(chunk)
            end += 1
            if size >= max_bytes:
                break
        data = b"".join(self._chunks[start:end])
        return data, end - start, self._seqs[end - 1] if end < len(self._seqs) else self.head

    def begin_pass(self) -> None:
        """Start visiting from the first member; what is in the window now is to be delivered."""
        self.visited = 0
        self.reached = self.head

    def end_pass(self) -> None:
        """Forget the events that the pass has given to everyone; the others need another pass."""
        count = bisect_right(self._seqs, self.reached)
        del self._seqs[:count]
        del self._chunks[:count]
        self._pieces.clear()

    def clear(self, head: int) -> None:
        """Forget the window: the log has started again at `head`."""
        self.head = self.reached = head
        self._seqs.clear()
        self._chunks.clear()
        self._pieces.clear()

    @property
    def pending(self) -> int:
        """Events in the window."""
        return len(self._seqs)


class Audiences(Generic[M]):
    """All audiences, found by their topics and by an event's addressees."""

    def __init__(self) -> None:
        self._by_topics: dict[tuple[str, ...], Audience[M]] = {}
        self._by_topic: dict[str, dict[Audience[M], None]] = {}

    def __iter__(self) -> Iterator[Audience[M]]:
        return iter(self._by_topics.values())

    def __len__(self) -> int:
        return len(self._by_topics)

    def of(self, topics: tuple[str, ...], head: int) -> Audience[M]:
        """The audience of `topics` (sorted, each once), made at `head` where there is none."""
        audience = self._by_topics.get(topics)
        if audience is None:
            audience = self._by_topics[topics] = Audience(topics, head)
            for topic in topics:
                self._by_topic.setdefault(topic, {})[audience] = None
        return audience

    def drop_if_empty(self, audience: Audience[M]) -> None:
        """Forget an audience that has lost its last member."""
        if audience.members or self._by_topics.get(audience.topics) is not audience:
            return
        del self._by_topics[audience.topics]
        for topic in audience.topics:
            of_topic = self._by_topic[topic]
            del of_topic[audience]
            if not of_topic:
                del self._by_topic[topic]

    def addressed(self, to: To) -> Iterable[Audience[M]]:
        """The audiences an event is for, each once; none for an event to one client."""
        if to.everyone:
            return self._by_topics.values()
        if len(to.topics) == 1:
            return self._by_topic.get(to.topics[0], ())
        found: dict[Audience[M], None] = {}
        for topic in to.topics:
            found.update(self._by_topic.get(topic, {}))
        return found
