"""A growing list of log positions that is trimmed at its front: one per topic and per client."""

from __future__ import annotations

from bisect import bisect_right

_COMPACT_AT = 8
"""Short lists are most of them, and each may hold this many positions that nothing needs."""


class Positions:
    """Ascending positions; appending, dropping the first and seeking are cheap.

    Dropped ones are only counted until they are half of the list, so that dropping costs constant
    time on average and seeking stays a binary search, which a deque does not offer.
    """

    __slots__ = ("_dropped", "_seqs")

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._seqs) - self._dropped

    def append(self, seq: int) -> None:
        """Add a position above all others; the newest one again is the same position."""
        if not self._seqs or self._seqs[-1] != seq:
            self._seqs.append(seq)

    def drop(self, seq: int) -> None:
        """Forget `seq` where it is the lowest position."""
        if not len(self) or self._seqs[self._dropped] != seq:
            return
        self._dropped += 1
        if self._dropped >= _COMPACT_AT and self._dropped * 2 >= len(self._seqs):
            del self._seqs[: self._dropped]
            self._dropped = 0

    def first_after(self, seq: int, limit: int) -> list[int]:
        """The lowest positions above `seq`, at most `limit`."""
        start = bisect_right(self._seqs, seq, lo=self._dropped)
        return self._seqs[start : start + limit]

    def last_after(self, seq: int, limit: int) -> list[int]:
        """The highest positions above `seq`, at most `limit`, ascending."""
        start = bisect_right(self._seqs, seq, lo=self._dropped)
        return self._seqs[max(start, len(self._seqs) - limit) :]
