"""The assignment of `retry:`: even an unannounced crash must not come back as one wave.

A native EventSource waits exactly its `retry:` and then comes, all at once if all have the
same. So each stream is assigned its own value in [base, base + width], where the width is the
time the fleet needs to take the streams of this pod at its accept rate, up to a cap (the price a
single client pays). Places in the interval come from the additive recurrence of the golden ratio
over the arrival number (Weyl; Knuth, TAOCP 3, 6.4): even for every prefix, deterministic, and no
random source needed.
"""

from __future__ import annotations

from typing import NamedTuple

from tidegate.contract.stream_settings import CommonStreamSettings

_GOLDEN = 0.6180339887498949
_WORTH_TELLING = 1.25
_WORTH_TELLING_MS = 100
"""A narrower width is not worth a write: one accept rate's tenth of a second."""


class RetryAssignment(NamedTuple):
    """One stream's `retry:`, and the width it was drawn from (0: not assigned)."""

    retry_ms: int | None
    spread_ms: int


def assign(settings: CommonStreamSettings, arrival: int, streams: int) -> RetryAssignment:
    """The value for the stream with number `arrival` while `streams` are open here."""
    if not settings.retry:
        return RetryAssignment(None, 0)
    width_ms = spread_ms(settings, streams)
    place = arrival * _GOLDEN % 1.0
    return RetryAssignment(settings.retry_base_ms + round(place * width_ms), width_ms)


def spread_ms(settings: CommonStreamSettings, streams: int) -> int:
    """The width for `streams` open streams: streams ÷ accept rate, capped."""
    width_ms = round(streams / settings.accept_rate_per_s * 1000.0)
    return min(width_ms, settings.crash_spread_max_ms)


def reassign(
    settings: CommonStreamSettings, arrival: int, streams: int, sent_ms: int
) -> RetryAssignment | None:
    """A new value where the width has outgrown the `sent_ms` it was drawn from, or ``None``.

    `retry:` is sticky and the first streams of a pod are given a narrow width; without this they
    would crowd the start of the interval for as long as they live.
    """
    if sent_ms >= outgrown_ms(settings, streams):
        return None
    return assign(settings, arrival, streams)


def outgrown_ms(settings: CommonStreamSettings, streams: int) -> float:
    """Streams that were given a width below this are to be given a new one."""
    if not settings.retry:
        return 0.0
    width_ms = spread_ms(settings, streams)
    return min(width_ms / _WORTH_TELLING, width_ms - _WORTH_TELLING_MS)
