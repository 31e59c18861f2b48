"""How long a connection may take to send its request head: a bound against slow handshakes."""

from __future__ import annotations

from typing import Protocol


class Handshaking(Protocol):
    """A connection that is sending a request head."""

    def handshake_expired(self) -> None:
        """The head has taken too long."""


class Handshakes:
    """Connections by the time their head is due; they are entered in that order."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._due: dict[Handshaking, float] = {}
        self.now = 0.0

    def begin(self, connection: Handshaking) -> None:
        """A head is expected from now on; the first call for it counts."""
        if connection not in self._due:
            self._due[connection] = self.now + self._timeout_s

    def done(self, connection: Handshaking) -> None:
        """The head is complete, or the connection gone."""
        self._due.pop(connection, None)

    def expire(self, now: float) -> int:
        """Tell those that are late; returns how many. Also the clock for those to come."""
        self.now = now
        late = []
        for connection, due_s in self._due.items():
            if due_s > now:
                break
            late.append(connection)
        for connection in late:
            del self._due[connection]
            connection.handshake_expired()
        return len(late)
