from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.bucket import TokenBucket
from tidegate.stream.retries import RetryAssignment, assign, reassign


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_within_base_and_width(arrival: int, streams: int) -> None:
    settings = StreamSettings(
        retry_base_ms=1000, crash_spread_max_ms=10_000, accept_rate_per_s=1000.0
    )
    told = assign(settings, arrival, streams)
    assert told.spread_ms == min(streams, 10_000)
    assert told.retry_ms is not None
    assert 1000 <= told.retry_ms <= 1000 + told.spread_ms
    assert told == assign(settings, arrival, streams)


def test_a_crash_comes_back_evenly_whichever_pod_it_hits() -> None:
    settings = StreamSettings()
    for first in (0, 12_345):
        delays = [assign(settings, first + n, 5000).retry_ms or 0 for n in range(5000)]
        per_100_ms = [sum(1 for d in delays if a <= d < a + 100) for a in range(1000, 6000, 100)]
        assert max(per_100_ms) <= 1.05 * 100
        assert min(per_100_ms) >= 0.95 * 100


def test_none_at_all_where_it_is_off() -> None:
    settings = StreamSettings(retry=False)
    assert assign(settings, 5, 5000) == RetryAssignment(None, 0)
    assert reassign(settings, 5, 5000, 0) is None


def test_told_again_once_the_width_has_outgrown() -> None:
    settings = StreamSettings()
    early = assign(settings, 1, 10)
    assert reassign(settings, 1, 12, early.spread_ms) is None
    assert reassign(settings, 1, 5000, early.spread_ms) == assign(settings, 1, 5000)


def test_a_bucket_lets_its_rate_pass() -> None:
    bucket = TokenBucket(rate_per_s=100.0, burst=50.0, now=0.0)
    assert bucket.wait_s(0.0) == 0.0
    bucket.spend(150.0)
    wait_s = bucket.wait_s(0.0)
    assert 1.0 < wait_s < 1.05
    assert bucket.wait_s(wait_s) == 0.0


def test_a_bucket_at_rest_holds_one_burst() -> None:
    bucket = TokenBucket(rate_per_s=100.0, burst=50.0, now=0.0)
    assert bucket.wait_s(1000.0) == 0.0
    bucket.spend(50.0)
    assert bucket.wait_s(1000.0) > 0.0
