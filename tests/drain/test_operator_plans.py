"""The operator's word: it replaces the pod's own slots, while it is valid and newest."""

from __future__ import annotations

import pytest
from drain.pods import VirtualPod, drain_plan, peak_1s
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Answer, Plan

USUAL = DrainSettings(grace_s=65, reserve_s=5)


def draining(n: int, settings: DrainSettings = USUAL, back_loaded: bool = False) -> VirtualPod:
    pod = VirtualPod(settings, n, operator=True, back_loaded=back_loaded)
    pod.drain.prestop(pod.now)
    return pod


def test_without_word_the_local_plan_starts_after_two_seconds() -> None:
    pod = draining(58)
    pod.run_until(60)
    assert pod.times == pytest.approx([2 + (i + 0.5) for i in range(58)], abs=1e-4)


def test_a_plan_replaces_the_slots_outright() -> None:
    pod = draining(100)
    pod.run_until(0.3)
    pod.answer(1, drain_plan(50, start_in_s=0.5))
    pod.run_until(10)
    assert pod.times == pytest.approx([0.8 + i / 50 for i in range(100)], abs=1e-4)
    assert {(retry, reason) for _, retry, reason in pod.gone} == {(1000, "drain")}


@given(
    rate=st.floats(0.5, 200),
    renew=st.floats(0.02, 2.0),
    n=st.integers(1, 600),
    every=st.one_of(st.none(), st.floats(0.01, 0.2)),
)
def test_never_more_than_the_rate_in_a_sliding_second_however_often_it_is_renewed(
    rate: float, renew: float, n: int, every: float | None
) -> None:
    pod = draining(n, DrainSettings(grace_s=10_000, reserve_s=5), back_loaded=True)
    for seq in range(1, 9):
        pod.answer(seq, drain_plan(rate))
        pod.run_until(seq * renew, every)
    times = pod.times
    late = 0 if every is None else 1  # a slot may be seen up to `every` late, so one more fits
    assert peak_1s(times) <= rate + 1.001 + late
    assert len(times) <= 8 * renew * rate + 1.001
    assert len(times) >= min(n, 8 * renew * rate - 1.001)


def test_after_its_count_the_pod_waits() -> None:
    pod = draining(100)
    pod.answer(1, drain_plan(50, count=20))
    pod.run_until(30)
    assert len(pod.gone) == 20


def test_a_wait_holds_until_the_last_call_which_has_all_gone_in_time() -> None:
    pod = draining(200)
    pod.answer(1, Plan("wait", valid_for_s=1e6))
    pod.run_until(60)
    assert pod.streams == 0
    assert pod.times[0] == pytest.approx(55, abs=0.1)
    assert peak_1s(pod.times) <= 42


def test_when_a_plan_lapses_the_local_plan_goes_on() -> None:
    pod = draining(60)
    pod.answer(1, Plan("wait", valid_for_s=3))
    pod.run_until(60)
    assert pod.times[0] == pytest.approx(3 + 0.5 * 57 / 60, abs=1e-3)
    assert pod.streams == 0


def test_stale_and_repeated_answers_change_nothing_and_are_counted() -> None:
    pod = draining(100)
    assert pod.answer(5, Plan("wait", valid_for_s=1e6)) == "taken"
    assert pod.answer(4, drain_plan(1000), admitted=False) == "stale"
    assert pod.answer(5, drain_plan(1000), admitted=False) == "repeated"
    pod.run_until(20)
    assert pod.gone == []
    assert pod.drain.orders.admitted
    assert pod.drain.orders.received == {"taken": 1, "stale": 1, "repeated": 1}


def test_a_plan_that_comes_before_preStop_holds_from_preStop_on() -> None:
    pod = VirtualPod(USUAL, 10, operator=True, back_loaded=False)
    pod.answer(1, drain_plan(10))
    pod.run_until(5)
    assert pod.gone == []
    pod.drain.prestop(pod.now)
    pod.run_until(6.5)
    assert pod.streams == 0


def test_a_plan_too_slow_for_the_deadline_is_compressed() -> None:
    pod = draining(600)
    pod.answer(1, drain_plan(1))
    pod.run_until(60)
    assert pod.streams == 0
    assert peak_1s(pod.times) <= 12


@given(deadline=st.floats(1, 200))
def test_deadlines_combine_by_the_nearer_one(deadline: float) -> None:
    pod = draining(50)
    pod.answer(1, Plan("wait", deadline_in_s=deadline, valid_for_s=1e6))
    pod.look()
    assert pod.drain.deadline_at == pytest.approx(pod.t0 + min(60, deadline))
    pod.answer(2, Plan("wait", deadline_in_s=500, valid_for_s=1e6))
    pod.look()
    assert pod.drain.deadline_at == pytest.approx(pod.t0 + min(60, deadline))
    pod.run_until(60)
    assert pod.streams == 0
    assert max(pod.times) <= min(60, deadline) + 1e-6


def test_a_healthy_pod_sheds_its_count_and_stops_when_validity_ends() -> None:
    pod = VirtualPod(USUAL, 100, operator=True, back_loaded=False)
    pod.answer(1, Plan("shed", rate_per_s=10, count=15, valid_for_s=3))
    pod.run_until(10)
    assert len(pod.gone) == 15
    assert {reason for _, _, reason in pod.gone} == {"shed"}
    pod.answer(2, Plan("shed", rate_per_s=10, count=80, valid_for_s=3))
    pod.run_until(30)
    assert 45 <= len(pod.gone) <= 46
    assert pod.drain.state == "ready"
    assert pod.drain.refusing is None


def test_no_drain_plan_moves_a_ready_pod_and_no_shed_a_draining_one() -> None:
    pod = VirtualPod(USUAL, 10, operator=True, back_loaded=False)
    pod.answer(1, drain_plan(100))
    pod.run_until(2)
    assert pod.gone == []
    pod.drain.prestop(pod.now)
    pod.answer(2, Plan("shed", rate_per_s=100, count=10, valid_for_s=100))
    pod.run_until(3.9)
    assert pod.gone == []


def test_a_plan_may_let_streams_go_faster_than_they_may_come_back() -> None:
    pod = VirtualPod(DrainSettings(grace_s=30, reserve_s=5), streams=100, operator=True)
    pod.drain.prestop(pod.now)
    plan = Plan("drain", rate_per_s=100.0, retry_ms=3000, returns_per_s=20.0, valid_for_s=30.0)
    pod.drain.answered(Answer(1, True, plan), pod.now)
    pod.run_until(1.5)
    assert len(pod.gone) == 100
    back_s = sorted(at_s + retry_ms / 1000 for at_s, retry_ms, _ in pod.gone)
    assert back_s[0] == pytest.approx(3.0, abs=0.1)
    for early, late in zip(back_s, back_s[25:], strict=False):
        assert late - early >= 1.0, "at most 20 a second, but for what one goodbye shares"
