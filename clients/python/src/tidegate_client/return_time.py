"""When to come back: what the server has asked for, how often it has failed, when it is due."""

from __future__ import annotations

import math

from tidegate_client.actions import Moment
from tidegate_client.decisions import Floor, Settings, retry_delay_ms, rounded

_SLEPT_MS = 10_000
"""A retry that fires this late has been slept over: all machines of a fleet wake at one time."""

_MIN_BOUNCE_MS = 100
"""No bounce brings a client back sooner: a server that names no time would be asked in a loop."""


class ReturnTime:
    """The next attempt of one client. `floor_ms` is the server's, `assigned` its own spreading."""

    def __init__(self, settings: Settings) -> None:
        self.attempt = 0
        self.due_ms = math.inf
        self.floor_ms = 0.0
        self.assigned = False
        self._settings = settings
        self._not_before_ms = 0.0

    def instruct(self, ms: float) -> None:
        """The server asks its clients to stay away for so long."""
        self.floor_ms = self.clamp(ms)

    def clamp(self, ms: float) -> float:
        """A server's wish within bounds."""
        return min(ms, self._settings.max_instructed_ms)

    def spread_ms(self, at: Moment) -> int:
        """A random part of the first delay."""
        return rounded(at.random * self._settings.initial_delay_ms)

    def planned(self, at: Moment) -> None:
        """A goodbye's appointment: no jitter, no attempt, as the server keeps the slots."""
        self._come(at, self.floor_ms, self.floor_ms)

    def bounced(self, at: Moment) -> float:
        """A bounce's appointment, kept to the millisecond, and no attempt; returns the delay."""
        delay_ms = max(self.floor_ms or self.spread_ms(at), _MIN_BOUNCE_MS)
        return self._come(at, self.floor_ms, delay_ms)

    def no_room(self, at: Moment, retry_after_ms: float) -> float:
        """The server has no room for two connections; returns the delay."""
        floor_ms = self.clamp(retry_after_ms)
        return self._come(at, floor_ms, max(self.spread_ms(at), floor_ms))

    def failed(self, at: Moment, retry_after_ms: float) -> float:
        """The attempt that was counted last has failed; returns the delay."""
        floor_ms = max(self.floor_ms, self.clamp(retry_after_ms))
        # Retry-After is the same for all it was sent to, so the spread must come from here.
        floor = Floor(floor_ms, self.assigned and not retry_after_ms)
        delay_ms = retry_delay_ms(self.attempt, floor, at.random, self._settings)
        return self._come(at, floor_ms, delay_ms)

    def soon(self, at: Moment) -> None:
        """Come back within the first delay, whatever was due."""
        self.due_ms = at.now_ms + self.spread_ms(at)

    def hurry(self, at: Moment) -> None:
        """Come back soon, but not before the server's floor, and with the count reset."""
        self.attempt = 0
        if self.due_ms < math.inf:
            soon_ms = max(self._not_before_ms, at.now_ms + self.spread_ms(at))
            self.due_ms = min(self.due_ms, soon_ms)

    def is_due(self, at: Moment) -> bool:
        """Whether to come back now; what was slept over is put off by a fresh spread."""
        if at.now_ms - self.due_ms > _SLEPT_MS:
            self.soon(at)
        return at.now_ms >= self.due_ms

    def _come(self, at: Moment, floor_ms: float, delay_ms: float) -> float:
        self._not_before_ms = at.now_ms + floor_ms
        self.due_ms = at.now_ms + delay_ms
        return delay_ms
