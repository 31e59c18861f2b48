"""The time a connection may take to send its request head: a bound against slow clients."""

from __future__ import annotations

import asyncio


class HeaderTimeouts:
    """Connections by the time their head is due; they are entered in that order."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._due: dict[asyncio.BaseTransport, float] = {}
        self.now = 0.0

    def begin(self, connection: asyncio.BaseTransport) -> None:
        """A head is expected from now on; the first call for it counts."""
        if connection not in self._due:
            self._due[connection] = self.now + self._timeout_s

    def done(self, connection: asyncio.BaseTransport) -> None:
        """The head is complete, or the connection gone."""
        self._due.pop(connection, None)

    def expire(self, now: float) -> int:
        """Close those that are late; returns how many. Also the clock for those to come."""
        self.now = now
        late = []
        for connection, due_s in self._due.items():
            if due_s > now:
                break
            late.append(connection)
        for connection in late:
            del self._due[connection]
            connection.close()
        return len(late)
