"""What goes into the connector and what it answers: moments in, actions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidegate.wire.decode import Event

ReadyState = Literal["connecting", "open", "closed"]
"""The states of an EventSource (WHATWG HTML 9.2.2)."""

LostReason = Literal["eof", "error", "idle", "timeout", "bounce", "planned", "status"]
"""Why there is no stream at the moment; `planned` is the server's goodbye."""

FatalEnding = Literal["oversized", "invalid_request", "unreadable"]
"""Endings that no repetition mends: an event over its bound, a request that cannot be sent, a
response that cannot be read."""

StopReason = Literal[
    FatalEnding,
    "no_content",
    "ended",
    "interrupted",
    "unauthorized",
    "refused",
    "not_a_stream",
    "exhausted",
]
"""Why the client has given up, or has nothing more to do (`no_content`, `ended`)."""

COMPLETE: frozenset[StopReason] = frozenset({"no_content", "ended"})
"""The stops that are no failures: the server has nothing more to send."""

Ending = Literal["eof", "error"] | FatalEnding


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, in milliseconds of a clock that goes on while the machine sleeps; `random` in [0, 1)."""

    now_ms: float
    random: float


@dataclass(frozen=True, slots=True)
class Open:
    """Ask for a stream; `renew` is the 401 or 403 to answer with new credentials, or 0.

    `handover`: whether to send the server ``handover=1``.
    """

    conn: int
    last_event_id: str
    renew: int
    handover: bool = False


@dataclass(frozen=True, slots=True)
class Abort:
    """Let go of a connection."""

    conn: int


@dataclass(frozen=True, slots=True)
class TellOpened:
    """There is a stream."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand an event over; `control` marks one of the server's own, not the application's."""

    event: Event
    control: bool


@dataclass(frozen=True, slots=True)
class TellLost:
    """There is no stream at the moment; the next attempt comes in `delay_ms`."""

    reason: LostReason
    delay_ms: float
    attempt: int
    status: int


@dataclass(frozen=True, slots=True)
class TellStopped:
    """There will be no stream any more; `last` is the loss that used up the attempts."""

    reason: StopReason
    attempt: int
    status: int
    last: LostReason | None = None


Action = Open | Abort | TellOpened | Deliver | TellLost | TellStopped
