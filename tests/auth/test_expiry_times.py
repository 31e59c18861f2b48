from __future__ import annotations

from collections import Counter

import pytest

from tidegate.auth.expiry import EXPIRED_RETRY_MS, expiry_of, retry_after_expiry_ms

NOW = 1_800_000_000.0


@pytest.mark.parametrize("first", [0, 1, 777, 10**9])
@pytest.mark.parametrize("lifetime_s", [20.0, 600.0, 86_400.0])
def test_streams_that_expire_together_end_evenly(first: int, lifetime_s: float) -> None:
    exp = NOW + lifetime_s
    spread_s = min(0.05 * lifetime_s, 60.0)
    ends = [expiry_of(exp, lifetime_s, first + n, NOW).goodbye_at for n in range(10_000)]
    assert all(exp - spread_s <= end <= exp for end in ends)
    tenths = Counter(min(9, int((exp - end) / spread_s * 10)) for end in ends)
    assert all(abs(tenths[tenth] - 1000) <= 100 for tenth in range(10))


def test_the_warning_comes_before_the_goodbye() -> None:
    hour = expiry_of(NOW + 3600, 3600, 5, NOW)
    assert hour.warn_at == hour.goodbye_at - 60
    short = expiry_of(NOW + 20, 20, 5, NOW)
    assert short.warn_at == pytest.approx(short.goodbye_at - 3)
    assert not short.is_final


def test_a_stream_that_comes_back_with_the_same_token_is_ended_once_more_only() -> None:
    for number in range(100):
        again = expiry_of(NOW + 0.9, 20, number, NOW)
        assert (again.goodbye_at, again.is_final) == (NOW + 0.9, True)


def test_a_client_whose_token_has_expired_comes_back_after_half_a_minute_or_more() -> None:
    waits = [retry_after_expiry_ms(n) for n in range(100)]
    assert min(waits) >= EXPIRED_RETRY_MS
    assert max(waits) <= 2 * EXPIRED_RETRY_MS
    assert len(set(waits)) == 100
