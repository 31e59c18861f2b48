"""What the engine has done so far, counted for `/metrics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from tidegate.stream.decisions import Bounce, Decision, Defer, Refuse


@dataclass(slots=True)
class Counters:
    """Counters that only grow.

    `deliveries` are events handed to streams, `writes` the writes it took, `bytes` what they
    carried; `replayed` of the deliveries came from the log, one stream at a time. `out_of_memory`
    are requests bounced because streams hold their memory. `bounced` is by reason and `refused` by
    error code, so that each limit has its own count.
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
    deferred: int = 0
    stalls: int = 0
    out_of_memory: int = 0
    failed_writes: int = 0
    bounced: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def decided(self, decision: Decision) -> None:
        """Count an answer of the door; an accepted request is counted as a stream."""
        if isinstance(decision, Bounce):
            self.bounced[decision.reason] += 1
        elif isinstance(decision, Refuse):
            self.refused[decision.error.code] += 1
        elif isinstance(decision, Defer):
            self.deferred += 1

    def to_mapping(self) -> dict[str, int]:
        """The plain counters by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, int)}
