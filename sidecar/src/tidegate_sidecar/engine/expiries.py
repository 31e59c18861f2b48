"""The streams whose token ends: told of it, let go, and cut where they have not left by then.

The times are `tidegate.auth.expiry`'s. No timer per stream: times are rounded to a quarter of a
second and kept in buckets, of which each step takes those that are due. The wall clock is compared
at every step, because it may jump, and tokens follow it. A stream that is gone is taken out, or one
that comes and goes with a token of a day would fill the buckets.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from tidegate.auth.expiry import Expiry, expiry_of, retry_after_expiry_ms
from tidegate.auth.rights import LEEWAY_S, Rights
from tidegate.contract.stream_events import HANDOVER_DEADLINE_MS, TokenExpiring
from tidegate.drain.decision import Goodbye
from tidegate.wire.encode import encode_token_expiring
from tidegate.wire.http import frame
from tidegate_sidecar.engine.closer import Closer
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.stream import Stream

MOST_PER_STEP: Final = 256
"""Streams that one step ends: others are not to wait for all that expire together."""

_BUCKETS_PER_S: Final = 4


class _Next(IntEnum):
    WARNING = 0
    GOODBYE = 1
    CUT = 2


class _Watched:
    """One stream's times, what comes next, and the bucket in which it is."""

    __slots__ = ("bucket", "expiry", "next")

    def __init__(self, expiry: Expiry, following: _Next) -> None:
        self.expiry = expiry
        self.next = following
        self.bucket = 0


class Expiries:
    """Watches the streams of expiring tokens; `retry_ms` is the `retry:` of an early goodbye.

    `wall_clock` is in seconds since 1970.
    """

    def __init__(self, closer: Closer, wall_clock: Callable[[], float], retry_ms: int) -> None:
        self._closer = closer
        self._wall_clock = wall_clock
        self._retry_ms = retry_ms
        self._watched: dict[Stream, _Watched] = {}
        self._buckets: dict[int, dict[Stream, None]] = {}
        self._order: list[int] = []

    def watch(self, stream: Stream, rights: Rights) -> None:
        """End `stream` by the time its `rights` end, if they do."""
        if rights.expires_at is None or rights.lifetime_s is None:
            return
        now = self._wall_clock()
        expiry = expiry_of(rights.expires_at, rights.lifetime_s, stream.number, now)
        # Where it begins shortly before its end, a warning would come too late to renew the token.
        following = _Next.WARNING if expiry.warn_at > now else _Next.GOODBYE
        self._watched[stream] = watched = _Watched(expiry, following)
        self._enter(stream, watched)

    def forget(self, stream: Stream) -> None:
        """`stream` is gone."""
        if not self._watched:
            return  # nearly always so without authentication
        watched = self._watched.pop(stream, None)
        if watched is not None:
            self._buckets.get(watched.bucket, {}).pop(stream, None)

    def step(self) -> None:
        """Do what is due."""
        if not self._order:
            return
        now = self._wall_clock()
        left = MOST_PER_STEP
        while self._order and self._order[0] <= now * _BUCKETS_PER_S and left:
            bucket = self._buckets[self._order[0]]
            while bucket and left:
                left -= 1
                stream = next(iter(bucket))
                del bucket[stream]
                self._act(stream, self._watched[stream], now)
            if not bucket:
                del self._buckets[heapq.heappop(self._order)]

    def _act(self, stream: Stream, watched: _Watched, now: float) -> None:
        expiry = watched.expiry
        if watched.next is _Next.WARNING:
            left_ms = max(0, round((expiry.goodbye_at - now) * 1000))
            self._closer.write(stream, frame(encode_token_expiring(TokenExpiring(left_ms))))
            watched.next = _Next.GOODBYE
        elif watched.next is _Next.GOODBYE:
            self._let_go(stream, expiry, now)
            watched.next = _Next.CUT
        else:
            self._closer.cut(stream, "expired")
            return
        if stream in self._watched:  # it may have failed, and be gone
            self._enter(stream, watched)

    def _let_go(self, stream: Stream, expiry: Expiry, now: float) -> None:
        if stream.phase is not Phase.OPEN:
            return
        left_ms = round((expiry.expires_at + LEEWAY_S - now) * 1000)
        long_ms = retry_after_expiry_ms(stream.number)
        goodbye = Goodbye(
            "expired",
            long_ms if expiry.is_final else self._retry_ms,
            max(1, min(HANDOVER_DEADLINE_MS, left_ms)),
        )
        self._closer.goodbye(stream, goodbye)

    def _enter(self, stream: Stream, watched: _Watched) -> None:
        expiry = watched.expiry
        if watched.next is _Next.WARNING:
            at = expiry.warn_at
        elif watched.next is _Next.GOODBYE:
            at = expiry.goodbye_at
        else:
            at = expiry.expires_at + LEEWAY_S
        # Rounded down: never late by more than a step.
        watched.bucket = bucket = int(at * _BUCKETS_PER_S)
        if bucket not in self._buckets:
            self._buckets[bucket] = {}
            heapq.heappush(self._order, bucket)
        self._buckets[bucket][stream] = None
