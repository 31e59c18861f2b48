"""When the clients come back: what time cannot spread, `retry:` spreads.

A goodbye's `retry:` is one small fixed value, because the slots already do the spreading and
jitter on top only adds peaks (measured). But when a deadline compresses the slots beyond the rate
at which the fleet can take the clients, they must not all return together: each then gets a later
return, one after the other at that rate, and never later than `spread_max_s` after its base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.contract.stream_events import MIN_RETRY_MS

TOLERANCE_S = 0.05
"""A return this little early is left alone, so that a late timer does not scatter `retry:`."""

SLACK = 1.01
"""How much faster than the rate returns may follow, so that a delay once had is made up for."""

BATCH_S = 0.02
"""Streams whose returns lie this close share one `retry:` and one call of the engine."""


@dataclass(frozen=True, slots=True)
class Return:
    """`count` streams get a `retry:` of `retry_ms`."""

    count: int
    retry_ms: int


@dataclass(frozen=True, slots=True)
class Returns:
    """The tail of the clients sent away: when the last of them is due back (the caller's clock)."""

    last_at: float = -math.inf

    def spread(
        self, now: float, count: int, base_s: float, rate_per_s: float, spread_max_s: float
    ) -> tuple[tuple[Return, ...], Returns]:
        """Returns for `count` streams let go `now`, at most `rate_per_s`, and the new tail.

        Where `rate_per_s` would need more than `spread_max_s`, the returns lie even over that.
        """
        if count <= 0:
            return (), self
        base_at, gap = now + base_s, 1.0 / (rate_per_s * SLACK)
        latest = base_at + spread_max_s
        first = min(max(base_at, self.last_at + gap), latest)
        gap = min(gap, (latest - first) / max(1, count - 1))
        tail = Returns(first + (count - 1) * gap)
        if tail.last_at - base_at < TOLERANCE_S:
            first, gap = base_at, 0.0
        per_batch = max(1, math.floor(BATCH_S / gap)) if gap > 0 else count
        batches = tuple(
            Return(
                min(per_batch, count - i), max(MIN_RETRY_MS, round((first + i * gap - now) * 1000))
            )
            for i in range(0, count, per_batch)
        )
        return batches, tail
