"""The events a stream carries beside the application's own, and their data.

`connected` opens every stream, `gap` stands where events can no longer be replayed, `cursor`
moves a quiet client's position on, `shutdown` is the goodbye. Heartbeats are bare comment lines.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

CONNECTED = "connected"
GAP = "gap"
CURSOR = "cursor"
SHUTDOWN = "shutdown"

GapReason = Literal["expired", "lagged", "epoch", "foreign"]
ShutdownReason = Literal[
    "drain", "shed", "overloaded", "expired", "stopping", "starting", "ended", "unavailable"
]
"""`unavailable`: the pod cannot look up the acknowledged position, so it cannot resume the stream.
"""

MIN_RETRY_MS = 1
"""`retry: 0` is a hot loop in browsers (WHATWG checklist, point 15), so it is never sent."""

HANDOVER_DEADLINE_MS = 5000


@dataclass(frozen=True, slots=True)
class Connected:
    """Data of `connected`: the pod that serves the stream, and how.

    `spread_ms` is the width over which the server has assigned `retry:` (0: not assigned);
    `replay`: whether events are about to be replayed.
    """

    pod: str
    stream: str
    heartbeat_ms: int
    spread_ms: int
    replay: bool

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
class Shutdown:
    """Data of `shutdown`: why, when to come back, and how long the stream still stays open."""

    reason: ShutdownReason
    reconnect_after_ms: int
    deadline_ms: int

    def to_json(self) -> dict[str, Any]:
        """The event's data."""
        return asdict(self)
