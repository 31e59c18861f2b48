"""What the engine may be told: limits, rhythms and the assignment of `retry:`.

The sidecar's settings build it from the environment; nothing here reads one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.stream.door import DoorLimits
from tidegate.stream.resume import ReplayLimits
from tidegate.stream.retries import RetryPolicy


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The engine's knobs; every default is a value one may run with."""

    assign_retry: bool = True
    """Whether streams get an own `retry:`; ``False`` sends none at all (the stock behaviour)."""

    retry_base_ms: int = 1000
    """The least `retry:` that is assigned."""

    crash_spread_max_ms: int = 10_000
    """The widest spread above the base; the price of a crash for one client."""

    accept_rate_per_s: float = 1000.0
    """New streams per second that the fleet takes without pain; sets the spread's width."""

    heartbeat_s: float = 15.0
    """A comment line after this long without other bytes. Below the 30 s of the strictest
    load balancer with a margin."""

    cursor_every_s: float = 180.0
    """How often a quiet stream is told its position, so that quiet never looks like a gap."""

    write_timeout_s: float = 30.0
    """A stream whose socket takes nothing for this long is ended."""

    handshake_timeout_s: float = 10.0
    """A connection whose request headers are not complete by then is closed."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read the answers; see `tidegate.stream.cors`."""

    replay: bool = True
    """Whether a cursor is honoured; ``False`` starts every stream at the head."""

    replay_max_events: int = 1000
    """The most one stream gets replayed; what exceeds it is a gap."""

    replay_max_bytes: int = 1 << 20
    """The same in bytes on the wire."""

    replay_bytes_per_s: float = 32e6
    """All replays together, so that resumers cannot starve live delivery."""

    max_streams: int = 100_000
    """Streams per pod; beyond it newcomers are bounced (`overloaded`)."""

    max_streams_per_client: int = 16
    """Streams one client may hold here; beyond it 429."""

    max_topics_per_stream: int = 64
    """Topics one stream may ask for; beyond it 400."""

    max_header_bytes: int = 16_384
    """Request line and headers together; beyond it 431."""

    @property
    def door_limits(self) -> DoorLimits:
        """The part the door needs."""
        return DoorLimits(
            self.max_streams,
            self.max_streams_per_client,
            self.max_topics_per_stream,
            self.max_header_bytes,
        )

    @property
    def retry_policy(self) -> RetryPolicy:
        """How `retry:` is assigned."""
        return RetryPolicy(
            self.assign_retry,
            self.retry_base_ms,
            self.crash_spread_max_ms,
            self.accept_rate_per_s,
        )

    @property
    def replay_limits(self) -> ReplayLimits:
        """The bounds of one stream's replay."""
        return ReplayLimits(self.replay, self.replay_max_events, self.replay_max_bytes)
