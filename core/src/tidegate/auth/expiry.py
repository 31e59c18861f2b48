"""When the stream of an expiring token is warned and ended, so that no two ends coincide.

Tokens are often issued together (a deploy, nine o'clock) and would expire together. So a stream is
let go somewhere in the last min(5 %, 60 s) of its token's life, and a moment before it is told, so
that a page has time to renew. Its place in that time is the stream's number times the golden ratio
(Weyl's sequence): numbers that follow each other are spread evenly, however many there are.

A stream that begins with a token already in that time has probably been let go for it and come
back with the same one. It stays until the token expires: to end it early again would only repeat
that. Then the client has had its chance, and comes back after a long `retry:`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SPREAD_SHARE: Final = 0.05
SPREAD_MOST_S: Final = 60.0
WARNING_SHARE: Final = 0.15
WARNING_MOST_S: Final = 60.0
"""How long before its end a stream is told, of the token's life and at most."""

EXPIRED_RETRY_MS: Final = 30_000
"""The least `retry:` for a client whose token has expired; up to twice that, by its place."""

_GOLDEN: Final = 0.6180339887498949


class Expiry(NamedTuple):
    """The times of one stream, in seconds since 1970.

    At `warn_at` it gets the event with the time left, at `goodbye_at` its goodbye. `is_final`: that
    is when the token expires, not before.
    """

    warn_at: float
    goodbye_at: float
    expires_at: float
    is_final: bool


def place(number: int) -> float:
    """Where the stream `number` stands between 0 and 1 (1 not included)."""
    return number * _GOLDEN % 1.0


def expiry_of(expires_at: float, lifetime_s: float, number: int, now: float) -> Expiry:
    """The times of the stream `number`, which begins at `now`; all in seconds since 1970."""
    spread_s = min(lifetime_s * SPREAD_SHARE, SPREAD_MOST_S)
    goodbye_at = expires_at - place(number) * spread_s
    is_final = now >= expires_at - spread_s
    if is_final:
        goodbye_at = expires_at
    warning_s = min(lifetime_s * WARNING_SHARE, WARNING_MOST_S)
    return Expiry(goodbye_at - warning_s, goodbye_at, expires_at, is_final)


def retry_after_expiry_ms(number: int) -> int:
    """The `retry:` for a client whose token has expired."""
    return round(EXPIRED_RETRY_MS * (1.0 + place(number)))
