"""Whether entries that the store has acknowledged come back to this pod in time.

One entry is watched at a time: the first that was stored and not read yet. If it does not come back
within the limit, the way through the log is broken somewhere, whatever the connection's state.
"""

from __future__ import annotations


class RoundTrip:
    """Times are in seconds of one monotonic clock; `limit_s` is how long an entry may take."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._awaited: tuple[int, float] | None = None
        self._overdue = False
        self.delay_s: float | None = None
        """From the acknowledgement of the last watched entry to its return; ``None``: none yet."""

    def stored(self, seq: int, position: int, now: float) -> None:
        """An entry was stored at `seq`; everything up to `position` has been read."""
        if self._awaited is not None:
            return
        if seq > position:
            self._awaited = (seq, now)
        else:
            self.delay_s = 0.0  # it was back before the acknowledgement

    def failed(self, position: int, since: float) -> None:
        """An append failed: without an acknowledgement the way is as broken as without a return."""
        self._awaited = self._awaited or (position + 1, since)

    def read(self, position: int, now: float) -> None:
        """Everything up to `position` has been read."""
        if self._awaited is not None and position >= self._awaited[0]:
            self.delay_s = now - self._awaited[1]
            self.reset()

    def renewed(self, now: float) -> None:
        """A new subscription gets its own time; until then what is overdue stays overdue."""
        if self._awaited is not None:
            self._overdue = self._overdue or self.late(now)
            self._awaited = (self._awaited[0], now)

    def reset(self) -> None:
        """Wait for nothing."""
        self._awaited, self._overdue = None, False

    def late(self, now: float) -> bool:
        """Whether the present subscription has had its time."""
        return self._awaited is not None and now - self._awaited[1] > self._limit_s

    def overdue(self, now: float) -> bool:
        """Whether an entry has not come back in time, by this subscription or the one before."""
        return self._overdue or self.late(now)
