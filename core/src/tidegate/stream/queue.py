"""The queue at the door: a pod takes so many new streams a second and names the others a slot.

A token bucket fills at the pod's rate, and each stream that is let in takes a token. A client that
finds none is bounced, and its `retry:` is the time until the next free slot of a queue: a wave of N
clients is back after N/C, and each has asked twice (backoff with jitter asks five times).

A slot is not tied to its client. A native EventSource brings no identity, and a Service may route
the client to another pod than the one that named the slot. So slots are counted: while slots are
out, a token that is not taken at once is kept for `LATE_S`, in which a client that is late, or
that another pod has sent, finds it.
"""

from __future__ import annotations

import math

from tidegate.contract.stream_settings import CommonLimits, CommonStreamSettings

BURST_S = 0.1
"""The rate's worth of tokens that a pod at rest holds: no second takes more than 1.1 x the rate."""

LATE_S = 2.0
"""How long a token is kept while slots are out. Routed at random, clients reach a pod as a Poisson
process: with the tokens of 0.1 s only, a pod with a rate of 10/s bounces one in ten once more. It
also covers Firefox, which never waits less than 500 ms."""

LEAST_WAIT_S = 0.1
"""No slot is nearer: a round trip, and the least that Tidegate's own clients wait."""

MOST_WAIT_S = 300.0
"""No slot is further away: Tidegate's own clients wait no longer, whatever a server asks for."""

_ONE_TOKEN = 1.0 - 1e-6
"""Less by what adding up floating-point numbers may lose."""

_GOLDEN = 0.6180339887498949


def new_streams_per_s(streams: CommonStreamSettings, limits: CommonLimits) -> float:
    """The pod's rate: its limit where one is set, else how fast returning clients are spread."""
    return limits.max_new_streams_per_s or streams.accept_rate_per_s


class AcceptQueue:
    """Lets in `rate_per_s` new streams a second and names slots to the others.

    Pure: `now` is any clock in seconds that only grows. `has_room` is asked first; then `take` is
    called for a stream that is let in, or `slot_ms` for a client that is sent away.
    """

    __slots__ = ("_at_s", "_beyond", "_next_s", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._tokens = max(1.0, rate_per_s * BURST_S)
        self._at_s = self._next_s = float("-inf")
        self._beyond = 0

    def has_room(self, now: float) -> bool:
        """Whether a new stream may come in now."""
        kept_s = LATE_S if self._next_s > now - LATE_S else BURST_S
        most = max(1.0, self._rate_per_s * kept_s)
        self._tokens = min(most, self._tokens + (now - self._at_s) * self._rate_per_s)
        self._at_s = now
        return self._tokens >= _ONE_TOKEN

    def take(self) -> None:
        """A new stream has been let in."""
        self._tokens -= 1.0

    def slot_ms(self, now: float, least_s: float = LEAST_WAIT_S) -> int:
        """Give away the next free slot; returns the milliseconds until then.

        It is at least `least_s` and at most `MOST_WAIT_S` away. Clients for which the queue is too
        long are spread over the second half of that time, without a slot: one time for all of them
        would bring them back as the wave that they are.
        """
        # At a low rate the next token is further away than `least_s`.
        token_s = now + (1.0 - self._tokens) / self._rate_per_s
        slot_s = max(self._next_s, now + least_s, token_s)
        wait_s = slot_s - now
        if wait_s > MOST_WAIT_S:
            self._beyond += 1
            wait_s = MOST_WAIT_S * (1.0 + self._beyond * _GOLDEN % 1.0) / 2
        else:
            self._next_s = slot_s + 1.0 / self._rate_per_s
        return math.ceil(wait_s * 1000 - 1e-6)
