"""Objects that a client hands to its application: events, and changes of the connection."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.wire.decode import Event
from tidegate_client.actions import LostReason, StopReason

__all__ = ["Event", "Lost", "Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is open: the first time, or after it had been lost."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The stream is lost for now (`will_retry`, in `delay_s`) or finally.

    `attempt` counts the unplanned attempts so far; a planned move uses none. `status` is 0
    without a response, and `error` is what the HTTP library or the header provider raised.
    """

    reason: LostReason | StopReason
    will_retry: bool
    delay_s: float
    attempt: int
    status: int
    error: BaseException | None = None
