"""Bytes held because sockets are full: what streams cost otherwise leaves of their memory.

A stalled stream costs no more than its last write and what the kernel took before, but that may be
a large event of its own, and there may be thousands of such streams (1,000 that read nothing and
got one event of 250 kB each held 350 MB). Above the budget, of those that hold more than their
share of it, the ones that have taken nothing for the longest time are ended.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidegate_sidecar.engine.memory import StreamMemory
from tidegate_sidecar.engine.peers import unread_bytes
from tidegate_sidecar.engine.stream import Stream


class Backlog:
    """The stalled streams, the one without progress for the longest time first.

    `bytes` is what they held when each was last looked at; it only falls in between.
    """

    def __init__(self, memory: StreamMemory) -> None:
        self._memory = memory
        self._stalled: dict[Stream, None] = {}
        self.bytes = 0

    def __iter__(self) -> Iterator[Stream]:
        return iter([*self._stalled])

    def __len__(self) -> int:
        return len(self._stalled)

    @property
    def is_over(self) -> bool:
        """Whether the budget is exceeded, as far as is known."""
        return self.bytes > self._memory.left_bytes

    def begin(self, stream: Stream, now: float) -> None:
        """The socket of `stream` is full."""
        self.end(stream)
        self._note(stream, unread_bytes(stream.transport), now)

    def end(self, stream: Stream) -> None:
        """The socket of `stream` has taken everything, or is gone."""
        if stream.stall is not None:
            self.bytes -= stream.stall[0]
            stream.stall = None
            del self._stalled[stream]

    def stalled_s(self, stream: Stream, now: float) -> float:
        """How long the socket of a stalled `stream` has taken nothing, in seconds."""
        assert stream.stall is not None
        size, since = stream.stall
        left = unread_bytes(stream.transport)
        if left < size:
            self.end(stream)
            self._note(stream, left, now)
            return 0.0
        return now - since

    def excess(self, now: float) -> list[Stream]:
        """The streams to end so that the budget is kept, slowest first.

        A stream that holds no more than an even share of it is never among them: most sockets are
        full for a moment at times.
        """
        if not self.is_over:
            return []
        for stream in self:
            self.stalled_s(stream, now)
        over = self.bytes - self._memory.left_bytes
        share = self._memory.left_bytes / max(1, len(self))
        excess = []
        for stream in self._stalled:
            if over <= 0:
                break
            assert stream.stall is not None
            if stream.stall[0] > share:
                over -= stream.stall[0]
                excess.append(stream)
        return excess

    def _note(self, stream: Stream, size: int, now: float) -> None:
        stream.stall = (size, now)
        self.bytes += size
        self._stalled[stream] = None
