"""The assignment of `retry:`: even an unannounced crash must not come back as one wave.

A native EventSource waits exactly its `retry:` and then comes, all at once if all were told the
same. So each stream is assigned its own value in [base, base + width], where the width is the
time the fleet needs to take the streams of this pod at its accept rate, up to a cap (the price a
single client pays). Places in the interval come from the additive recurrence of the golden ratio
over the arrival number (Weyl; Knuth, TAOCP 3, 6.4): even for every prefix, deterministic, and no
random source needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_GOLDEN = 0.6180339887498949
_WORTH_TELLING = 1.25
_WORTH_TELLING_MS = 100
"""A narrower width is not worth a write: one accept rate's tenth of a second."""


class RetryAssignment(NamedTuple):
    """What one stream is told: its `retry:`, and the width it was drawn from (0: not assigned)."""

    retry_ms: int | None
    spread_ms: int


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How `retry:` is assigned; `enabled` false sends none, as a server without it would.

    `base_ms` is the least, `max_spread_ms` the cap of the width, `accept_rate_per_s` the new
    streams per second that are taken without pain.
    """

    enabled: bool = True
    base_ms: int = 1000
    max_spread_ms: int = 10_000
    accept_rate_per_s: float = 1000.0

    def assign(self, arrival: int, streams: int) -> RetryAssignment:
        """The value for the stream with number `arrival` while `streams` are open here."""
        if not self.enabled:
            return RetryAssignment(None, 0)
        spread_ms = self.spread_ms(streams)
        place = arrival * _GOLDEN % 1.0
        return RetryAssignment(self.base_ms + round(place * spread_ms), spread_ms)

    def spread_ms(self, streams: int) -> int:
        """The width for `streams` open streams: streams ÷ accept rate, capped."""
        return min(round(streams / self.accept_rate_per_s * 1000.0), self.max_spread_ms)

    def reassign(self, arrival: int, streams: int, told_ms: int) -> RetryAssignment | None:
        """A new value where the width has outgrown the `told_ms` it was drawn from, or ``None``.

        `retry:` is sticky and the first streams of a pod are told a narrow width; without this
        they would crowd the start of the interval for as long as they live.
        """
        if told_ms >= self.outgrown_ms(streams):
            return None
        return self.assign(arrival, streams)

    def outgrown_ms(self, streams: int) -> float:
        """Streams that were told a width below this are to be told a new one."""
        if not self.enabled:
            return 0.0
        spread_ms = self.spread_ms(streams)
        return min(spread_ms / _WORTH_TELLING, spread_ms - _WORTH_TELLING_MS)
