"""What the engine has done so far, counted for `/metrics`."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Tally:
    """Counters that only grow.

    `deliveries` are events handed to streams, `writes` the writes it took, `bytes` what they
    carried; `replayed` of the deliveries came from the log, one stream at a time.
    """

    events: int = 0
    repeated_events: int = 0
    unsendable_events: int = 0
    deliveries: int = 0
    writes: int = 0
    bytes: int = 0
    replayed: int = 0
    heartbeats: int = 0
    cursors: int = 0
    gaps: int = 0
    bounces: int = 0
    refusals: int = 0
    deferred: int = 0
    stalls: int = 0
    handshake_timeouts: int = 0
    failed_writes: int = 0

    def to_mapping(self) -> dict[str, int]:
        """The counters by name."""
        return asdict(self)
