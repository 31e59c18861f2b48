"""The events a stream carries beside the application's own, and their data.

`connected` opens every stream, `gap` stands where events can no longer be replayed, `cursor`
moves a quiet client's position on, `shutdown` is the goodbye. Heartbeats are bare comment lines.

**The names belong to the server.** No application publishes under a reserved name (`RESERVED`, or
one that begins with `RESERVED_PREFIX`), so in a Tidegate stream, one whose first event is a
`connected` that can be read, such an event is the server's own. A client acts only on those it
understands, takes the id of the others as a position, and hands none but `gap` to its application:
an event that a later server invents gets a reserved name and never looks like the application's.
In any other stream these names mean nothing; only a goodbye before every other event is obeyed (a
bounce).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

CONNECTED = "connected"
GAP = "gap"
CURSOR = "cursor"
SHUTDOWN = "shutdown"
TOKEN_EXPIRING = "tidegate.token-expiring"  # noqa: S105 - an event's name

RESERVED = frozenset({CONNECTED, CURSOR, GAP, SHUTDOWN, "open", "error"})
"""`open` and `error` are what an EventSource calls its own changes of state."""

RESERVED_PREFIX = "tidegate."
"""For events that later servers may send."""

GapReason = Literal["expired", "lagged", "epoch", "foreign"]
ShutdownReason = Literal[
    "drain", "shed", "overloaded", "stopping", "starting", "ended", "unavailable", "expired"
]
"""`unavailable`: the pod cannot look up the acknowledged position, so it cannot resume the stream,
or has no keys to verify a token with. `expired`: the token ends, come back with a new one.
"""

MIN_RETRY_MS = 1
"""`retry: 0` is a hot loop in browsers (WHATWG checklist, point 15), so it is never sent."""

HANDOVER_DEADLINE_MS = 5000


def is_reserved(event: str) -> bool:
    """Whether an event's name belongs to the server, so that no application may publish it."""
    return event in RESERVED or event.startswith(RESERVED_PREFIX)


@dataclass(frozen=True, slots=True)
class Connected:
    """Data of `connected`: the pod that serves the stream, and how.

    `spread_ms` is the width over which the server has assigned `retry:` (0: not assigned);
    `replay`: whether events are about to be replayed. `handover`: a client that hands over sends
    ``?handover=1`` from its next request on; it sends no such key to other servers, which may
    refuse it.
    """

    pod: str
    stream: str
    heartbeat_ms: int
    spread_ms: int
    replay: bool
    handover: bool = True

    def to_json(self) -> dict[str, Any]:
        """The event's data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Gap:
    """Data of `gap`: events after position `start` up to and including `end` are lost."""

    start: str
    end: str
    reason: GapReason

    def to_json(self) -> dict[str, Any]:
        """The event's data; on the wire the range is called from and to."""
        return {"from": self.start, "to": self.end, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class TokenExpiring:
    """Data of `tidegate.token-expiring`: the token ends, and when the stream does, at the latest.

    A page that renews its cookie, or has a new token at hand, before that loses nothing.
    """

    expires_in_ms: int

    def to_json(self) -> dict[str, Any]:
        """The event's data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Data of `shutdown`: why, when to come back, and how long the stream still stays open."""

    reason: ShutdownReason
    reconnect_after_ms: int
    deadline_ms: int

    def to_json(self) -> dict[str, Any]:
        """The event's data."""
        return asdict(self)
