"""A token bucket that may be overdrawn: the size of a write is known only once it is made."""

from __future__ import annotations


class TokenBucket:
    """Lets `rate_per_s` tokens pass per second on average and `burst` at once."""

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._at_s = now

    def wait_s(self, now: float) -> float:
        """Seconds from `now` until something may pass; 0 if it may now."""
        self._tokens = min(self._burst, self._tokens + (now - self._at_s) * self._rate_per_s)
        self._at_s = now
        return 0.0 if self._tokens > 0.0 else (1.0 - self._tokens) / self._rate_per_s

    def spend(self, tokens: float) -> None:
        """Take `tokens`, into the red if need be; what is overdrawn is waited for."""
        self._tokens -= tokens
