"""The one or two connections of a client, which of them is which, and when each has expired.

The first is the one that serves; from its goodbye on it is *leaving*, and the one that shall
replace it stands second. Input for a number that is no longer held is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate_client.actions import Abort, Action
from tidegate_client.decisions import Settings


@dataclass(slots=True)
class Connection:
    """One connection. `since_ms`: asked for, and once opened, when that was.

    `live` once it has carried an event (a goodbye before that is a bounce); `tidegate` when
    `connected` was its first event, so that reserved names are the server's own; `leave_ms` from
    the goodbye on: when the server ends it at the latest; `led_nowhere` once its handover has led
    to the very same pod, after which one more is tried.
    """

    conn: int
    since_ms: float
    active_ms: float
    opened: bool = False
    pod: object = None
    live: bool = False
    tidegate: bool = False
    leave_ms: float | None = None
    led_nowhere: bool = False


class Connections:
    """At most two connections, oldest first. `heartbeat_ms` is the server's, 0 without one."""

    def __init__(self, settings: Settings) -> None:
        self.held: list[Connection] = []
        self.heartbeat_ms = 0.0
        self._settings = settings
        self._count = 0

    @property
    def first(self) -> Connection | None:
        """The connection that serves, or is leaving."""
        return self.held[0] if self.held else None

    def add(self, now_ms: float) -> Connection:
        """One more, with the next number."""
        self._count += 1
        connection = Connection(self._count, now_ms, now_ms)
        self.held.append(connection)
        return connection

    def find(self, conn: int) -> Connection | None:
        """The connection with this number, while it is held."""
        return next((held for held in self.held if held.conn == conn), None)

    def speaking(self, conn: int) -> Connection | None:
        """As `find`, but nothing counts that a connection sends after its goodbye."""
        held = self.find(conn)
        return held if held is not None and held.leave_ms is None else None

    def abort(self, count: int) -> list[Action]:
        """Let go of the first `count`."""
        gone, self.held = self.held[:count], self.held[count:]
        return [Abort(held.conn) for held in gone]

    def abort_before(self, connection: Connection) -> list[Action]:
        """Let go of those that are older than this one."""
        return self.abort(self.held.index(connection))

    def drop(self, connection: Connection) -> list[Action]:
        """Let go of this one."""
        self.held.remove(connection)
        return [Abort(connection.conn)]

    def deadline_ms(self) -> float:
        """When the first of them expires or must leave; infinity: never."""
        return min(self.leave_by_ms(), *(self._expiry_ms(held) for held in self.held), math.inf)

    def expired(self, now_ms: float) -> list[Connection]:
        """Those whose headers or bytes have not come in time."""
        return [held for held in self.held if now_ms >= self._expiry_ms(held)]

    def leave_by_ms(self) -> float:
        """When a leaving connection must go: at its deadline, or to make room for a next one."""
        first = self.first
        if first is None or first.leave_ms is None:
            return math.inf
        if len(self.held) == 1:
            return first.leave_ms
        return min(first.leave_ms, self.held[1].since_ms + self._settings.handover_patience_ms)

    def _expiry_ms(self, held: Connection) -> float:
        if held.leave_ms is not None:
            return math.inf
        if not held.opened:
            return held.since_ms + self._settings.connect_timeout_ms
        idle_ms = self._settings.idle_timeout_ms or 3 * self.heartbeat_ms or math.inf
        return held.active_ms + idle_ms
