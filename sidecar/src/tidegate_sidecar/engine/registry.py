"""The open streams by kind and age, by client and by audience, and their counts.

Every stream is entered once and leaves once, whichever way it ends; each step is constant time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from tidegate.stream.audience import Audiences
from tidegate_sidecar.engine.memory import StreamMemory
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.stream import Stream


class Ages:
    """Streams from oldest to newest, with a hand that goes round over them.

    A doubly linked list through the streams themselves: a dictionary cannot give its oldest entry
    in constant time while entries are taken from its front. `rounds` counts how often the hand
    has begun at the oldest.
    """

    def __init__(self) -> None:
        self.oldest: Stream | None = None
        self._newest: Stream | None = None
        self._hand: Stream | None = None
        self.count = 0
        self.rounds = 0

    def add(self, stream: Stream) -> None:
        """Enter `stream` as the newest."""
        stream.older, stream.newer = self._newest, None
        if self._newest is None:
            self.oldest = stream
        else:
            self._newest.newer = stream
        self._newest = stream
        self.count += 1

    def remove(self, stream: Stream) -> None:
        """Take `stream` out."""
        older, newer = stream.older, stream.newer
        if self._hand is stream:
            self._hand = newer
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self._newest = older
        else:
            newer.older = older
        stream.older = stream.newer = None
        self.count -= 1

    def next(self) -> Stream | None:
        """The stream under the hand, which moves on; from the newest it goes to the oldest."""
        stream = self._hand
        if stream is None:
            stream = self.oldest
            self.rounds += 1
        self._hand = None if stream is None else stream.newer
        return stream

    def __iter__(self) -> Iterator[Stream]:
        stream = self.oldest
        while stream is not None:
            newer = stream.newer
            yield stream
            stream = newer


class Open:
    """Streams that have had no goodbye, by what they will do when they get it."""

    def __init__(self) -> None:
        self.plain = Ages()
        self.handing_over = Ages()

    @property
    def count(self) -> int:
        """Streams of both kinds."""
        return self.plain.count + self.handing_over.count

    def add(self, stream: Stream) -> None:
        """Enter `stream` as the newest of its kind."""
        self._kind(stream).add(stream)

    def remove(self, stream: Stream) -> None:
        """Take `stream` out."""
        self._kind(stream).remove(stream)

    def __iter__(self) -> Iterator[Stream]:
        return chain(self.plain, self.handing_over)

    def _kind(self, stream: Stream) -> Ages:
        return self.handing_over if stream.handover else self.plain


class Registry:
    """All streams of this pod.

    `open` have had no goodbye; `lingering` have had it and wait for their client; `closing` wait
    for their last bytes to leave, each until a deadline.
    """

    def __init__(self, memory: StreamMemory) -> None:
        self.memory = memory
        self.open = Open()
        self.lingering = Ages()
        self.closing: dict[Stream, float] = {}
        self.audiences: Audiences[Stream] = Audiences()
        self.clients: dict[str, list[Stream]] = {}
        self.without_client = 0
        self.arrived_total = 0
        self.ended_total: Counter[str] = Counter()

    def admit(self, stream: Stream) -> None:
        """Enter a new stream."""
        self.arrived_total += 1
        is_first = not stream.audience.members
        self.memory.take(stream.cost_bytes, len(stream.audience.topics) if is_first else 0)
        self.open.add(stream)
        stream.audience.add(stream)
        if stream.client is None:
            self.without_client += 1
        else:
            self.clients.setdefault(stream.client, []).append(stream)

    def streams_of(self, client: str) -> int:
        """How many open streams a client has."""
        return len(self.clients.get(client, ()))

    def linger(self, stream: Stream, cause: str) -> None:
        """`stream` has had its goodbye and stays up for its client to close."""
        self._enter(stream, Phase.LINGERING, cause)
        self.lingering.add(stream)

    def close(self, stream: Stream, cause: str, deadline_s: float) -> None:
        """`stream` is ending; its connection may last until `deadline_s`."""
        self._enter(stream, Phase.CLOSING, cause)
        self.closing[stream] = deadline_s

    def gone(self, stream: Stream, cause: str) -> None:
        """The connection of `stream` is gone."""
        self._enter(stream, Phase.GONE, cause)

    def _enter(self, stream: Stream, phase: Phase, cause: str) -> None:
        """Change the phase, and take the stream out of the list of its last one."""
        last = stream.phase
        stream.enter(phase)
        if last is Phase.OPEN:
            self._part(stream, cause)
        elif last is Phase.LINGERING:
            self.lingering.remove(stream)
        else:
            del self.closing[stream]
        if phase is Phase.GONE:
            self.memory.give_back(stream.cost_bytes)

    def _part(self, stream: Stream, cause: str) -> None:
        """Count it as ended and take it from everything that would write events to it."""
        self.ended_total[cause] += 1
        self.open.remove(stream)
        stream.live = False
        stream.audience.remove(stream)
        if not stream.audience.members:
            self.memory.give_back(0, len(stream.audience.topics))
        self.audiences.drop_if_empty(stream.audience)
        if stream.client is None:
            self.without_client -= 1
        else:
            of_client = self.clients[stream.client]
            of_client.remove(stream)
            if not of_client:
                del self.clients[stream.client]
