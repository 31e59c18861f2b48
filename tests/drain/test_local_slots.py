"""The pod's own plan: even slots over the window, whatever changes on the way."""

from __future__ import annotations

import pytest
from drain.pods import VirtualPod, drain_plan, peak_1s
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Plan


@given(n=st.integers(1, 400), grace=st.floats(6, 300), back_loaded=st.booleans())
def test_stream_i_of_n_goes_in_the_middle_of_its_cell(
    n: int, grace: float, back_loaded: bool
) -> None:
    pod = VirtualPod(DrainSettings(grace_s=grace, reserve_s=5), n, back_loaded=back_loaded)
    pod.drain.prestop(pod.now)
    pod.run_until(grace)
    window = grace - 5
    start = window / 2 if back_loaded else 0.0
    expected = [start + (i + 0.5) * (window - start) / n for i in range(n)]
    # The last call never hastens an even plan: both end at the same moment.
    assert pod.times == pytest.approx(expected, abs=1e-4)
    assert {reason for _, _, reason in pod.gone} == {"drain"}


@given(
    n=st.integers(1, 300),
    window=st.floats(2, 120),
    shrink=st.floats(0.05, 0.9),
    keep=st.floats(0.2, 1.0),
    every=st.floats(0.01, 3.0),
)
def test_a_nearer_deadline_compresses_and_streams_that_leave_stretch(
    n: int, window: float, shrink: float, keep: float, every: float
) -> None:
    pod = VirtualPod(DrainSettings(grace_s=window + 5, reserve_s=5), n, back_loaded=False)
    pod.drain.prestop(pod.now)
    pod.run_until(window * shrink, every)
    left = round(pod.streams * keep)
    pod.streams = left  # the others closed by themselves
    so_far = len(pod.gone)
    assert so_far == pytest.approx(n * shrink, abs=1.01)
    nearer = window * (1 - shrink) * 0.5
    pod.answer(1, drain_plan_now(left, nearer))
    pod.run_until(window * shrink + nearer, every)
    assert pod.streams == 0
    assert max(pod.times, default=0) <= window * shrink + nearer + 1e-6
    later = pod.times[so_far:]
    assert peak_1s(later) <= left * max(1.0, 1.0 / nearer) + 1.01


def drain_plan_now(n: int, within_s: float) -> Plan:
    return drain_plan(max(0.1, n / within_s), deadline_in_s=within_s)


@given(
    n=st.integers(0, 500),
    every=st.one_of(st.none(), st.floats(0.005, 5.0)),
    back_loaded=st.booleans(),
)
def test_all_are_gone_by_the_deadline_however_often_it_decides(
    n: int, every: float, back_loaded: bool
) -> None:
    pod = VirtualPod(DrainSettings(grace_s=30, reserve_s=5), n, back_loaded=back_loaded)
    pod.drain.prestop(pod.now)
    pod.run_until(25, every)
    assert pod.streams == 0
    assert max(pod.times, default=0) <= 25 + 1e-6


def test_a_loop_that_stood_still_does_not_answer_with_a_burst() -> None:
    pod = VirtualPod(DrainSettings(grace_s=105, reserve_s=5), 1000, back_loaded=False)
    pod.drain.prestop(pod.now)
    pod.run_until(10)
    pod.now += 5
    before = len(pod.gone)
    pod.look()
    assert len(pod.gone) - before <= 4  # 10/s, a quarter of a second and a cell
    pod.run_until(100)
    assert pod.streams == 0
    assert peak_1s(pod.times) <= 15


def test_back_loaded_begins_in_the_middle() -> None:
    pod = VirtualPod(DrainSettings(grace_s=45, reserve_s=5), 100)
    pod.drain.prestop(pod.now)
    pod.run_until(40)
    assert pod.times[0] == pytest.approx(20.1)
    assert pod.times[-1] == pytest.approx(39.9)


def test_a_local_window_ends_the_drain_early() -> None:
    pod = VirtualPod(DrainSettings(grace_s=45, reserve_s=5, local_window_s=10), 100)
    pod.drain.prestop(pod.now)
    pod.run_until(10)
    assert (pod.streams, pod.drain.state) == (0, "drained")


def test_the_hook_lingers_when_empty_and_ends_by_the_window() -> None:
    empty = VirtualPod(DrainSettings(grace_s=30, reserve_s=5, linger_s=5), 0)
    empty.drain.prestop(empty.now)
    empty.run_until(4.9)
    assert empty.drain.state == "drained"
    assert not empty.drain.hook_done(empty.now)
    assert empty.drain.hook_done(empty.t0 + 5)
    never = VirtualPod(DrainSettings(grace_s=30, reserve_s=5), 0)
    never.drain.prestop(never.now)
    never.drain.decide(never.now, 0, lingering=1)
    assert never.drain.state == "draining"
    assert not never.drain.hook_done(never.t0 + 24.9)
    assert never.drain.hook_done(never.t0 + 25)
