"""SIGTERM, the modes to compare with, and what `retry:` does when time is short."""

from __future__ import annotations

import pytest
from drain.pods import VirtualPod, drain_plan, peak_1s
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.drain_settings import DrainMode, DrainSettings
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.returns import Returns


def returns_of(pod: VirtualPod) -> list[float]:
    return sorted(at + retry / 1000 for at, retry, _ in pod.gone)


@given(n=st.integers(0, 800), before=st.sampled_from(["starting", "ready", "draining"]))
def test_at_SIGTERM_everything_goes_within_the_stop_window(n: int, before: str) -> None:
    pod = VirtualPod(DrainSettings(), n, ready=before != "starting")
    if before == "draining":
        pod.drain.prestop(pod.now)
    pod.drain.sigterm(pod.now)
    pod.run_until(1.0)
    assert pod.streams == 0
    assert pod.drain.refusing == "stopping"
    assert {reason for _, _, reason in pod.gone} <= {"stopping"}


def test_what_time_cannot_spread_retry_spreads() -> None:
    streams = StreamSettings(accept_rate_per_s=100, crash_spread_max_ms=10_000)
    pod = VirtualPod(DrainSettings(), 500, stream_settings=streams)
    pod.drain.sigterm(pod.now)
    pod.run_until(1.0)
    returns = returns_of(pod)
    assert peak_1s(returns) <= 104  # `retry:` is in whole batches of 20 ms
    assert returns[0] == pytest.approx(1.0, abs=0.05)
    assert returns[-1] == pytest.approx(1 + 499 / 100, abs=0.1)


def test_the_spread_has_an_upper_limit() -> None:
    streams = StreamSettings(accept_rate_per_s=10, crash_spread_max_ms=3000)
    pod = VirtualPod(DrainSettings(), 600, stream_settings=streams)
    pod.drain.sigterm(pod.now)
    pod.run_until(1.0)
    assert max(retry for _, retry, _ in pod.gone) <= 4000


def test_with_time_enough_every_goodbye_has_the_same_retry() -> None:
    pod = VirtualPod(DrainSettings(grace_s=60), 200, operator=True)
    pod.drain.prestop(pod.now)
    pod.answer(1, drain_plan(40, retry_ms=750))
    pod.run_until(6, every=0.013)
    assert {retry for _, retry, _ in pod.gone} == {750}


@given(
    n=st.integers(1, 2000),
    rate=st.floats(1, 5000),
    base=st.floats(0, 5),
    limit=st.floats(0, 20),
)
def test_returns_keep_their_rate_or_their_limit(
    n: int, rate: float, base: float, limit: float
) -> None:
    batches, tail = Returns().spread(50.0, n, base, rate, limit)
    assert sum(b.count for b in batches) == n
    assert all(1 <= b.retry_ms <= max(1, round((base + limit) * 1000)) for b in batches)
    assert tail.last_at <= 50 + base + limit + 1e-6
    assert [b.retry_ms for b in batches] == sorted(b.retry_ms for b in batches)


def test_fixed_says_goodbye_to_all_at_once() -> None:
    pod = VirtualPod(DrainSettings(mode="fixed"), 300)
    pod.drain.prestop(pod.now)
    pod.run_until(0)
    assert pod.gone == [(0.0, 5000, "drain")] * 300


def test_fixed_without_a_hook_does_so_at_SIGTERM() -> None:
    pod = VirtualPod(DrainSettings(mode="fixed", shutdown_retry_ms=700), 3)
    pod.drain.sigterm(pod.now)
    pod.run_until(0)
    assert pod.gone == [(0.0, 700, "stopping")] * 3


@pytest.mark.parametrize("mode", ["cut", "off"])
def test_cut_and_off_say_nothing_and_cut_at_SIGTERM(mode: DrainMode) -> None:
    pod = VirtualPod(DrainSettings(mode=mode, linger_s=5), 30)
    pod.drain.prestop(pod.now)
    pod.run_until(20)
    assert (pod.gone, pod.streams, pod.drain.refusing) == ([], 30, None)
    pod.drain.sigterm(pod.now)
    pod.look()
    assert (pod.cut, pod.gone) == (30, [])


@pytest.mark.parametrize(
    ("policy", "done_after"),
    [
        (DrainSettings(mode="cut"), 0.0),
        (DrainSettings(mode="cut", prestop_sleep_s=5), 5.0),
        (DrainSettings(mode="off", linger_s=4), 4.0),
    ],
    ids=["cut", "cut after a sleep", "off"],
)
def test_the_hook_of_the_other_modes(policy: DrainSettings, done_after: float) -> None:
    pod = VirtualPod(policy, 10)
    pod.drain.prestop(pod.now)
    pod.look()
    if done_after:
        assert not pod.drain.hook_done(pod.t0 + done_after - 0.01)
    assert pod.drain.hook_done(pod.t0 + done_after)


def test_a_handover_gets_five_seconds_or_what_is_left() -> None:
    pod = VirtualPod(DrainSettings(grace_s=13, reserve_s=5), 8)
    pod.drain.prestop(pod.now)
    seen = []
    for _ in range(8):
        decision = pod.drain.decide(pod.now, pod.streams)
        while not decision.goodbyes:
            assert decision.due_again_at is not None
            pod.now = decision.due_again_at
            decision = pod.drain.decide(pod.now, pod.streams)
        pod.streams -= 1
        seen.append((pod.now - pod.t0, decision.goodbyes[0][1].deadline_ms))
    for at, deadline_ms in seen:
        assert deadline_ms == pytest.approx(min(5, 8 - at) * 1000, abs=1)
