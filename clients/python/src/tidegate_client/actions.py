"""What a connector is told and what it answers: moments in, actions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidegate.wire.decode import Event

ReadyState = Literal["connecting", "open", "closed"]
"""The states of an EventSource (WHATWG HTML 9.2.2)."""

LostReason = Literal["eof", "error", "idle", "timeout", "bounce", "planned", "status"]
"""Why there is no stream at the moment; `planned` is the server's goodbye."""

StopReason = Literal[
    "no_content", "unauthorized", "refused", "not_a_stream", "oversized", "exhausted"
]
"""Why the client has given up."""

Ending = Literal["eof", "error", "oversized"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, in milliseconds of a clock that goes on while the machine sleeps; `random` in [0, 1)."""

    now_ms: float
    random: float


@dataclass(frozen=True, slots=True)
class Open:
    """Ask for a stream; `renew` is the 401 or 403 to answer with new credentials, or 0."""

    conn: int
    last_event_id: str
    renew: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Let go of a connection."""

    conn: int


@dataclass(frozen=True, slots=True)
class TellOpened:
    """There is a stream."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand an event to the application."""

    event: Event


@dataclass(frozen=True, slots=True)
class TellLost:
    """There is no stream at the moment; the next attempt comes in `delay_ms`."""

    reason: LostReason
    delay_ms: float
    attempt: int
    status: int


@dataclass(frozen=True, slots=True)
class TellStopped:
    """There will be no stream any more."""

    reason: StopReason
    attempt: int
    status: int


Action = Open | Abort | TellOpened | Deliver | TellLost | TellStopped
