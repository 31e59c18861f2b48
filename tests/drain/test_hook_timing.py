"""When preStop may answer, and when the drain is to be asked again: at each moment that counts."""

from __future__ import annotations

import pytest
from drain.pods import VirtualPod, drain_plan, peak_1s

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Plan
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain

USUAL = DrainSettings(grace_s=30, reserve_s=5, linger_s=4)


def asked(settings: DrainSettings, streams: int, until_s: float) -> list[float]:
    """The moments, since preStop, at which a pod that keeps its streams is asked again."""
    drain, now, moments = Drain(settings, StreamSettings()), 100.0, list[float]()
    drain.filled()
    drain.prestop(now)
    while (due := drain.decide(now, 0, lingering=streams).due_again_at) is not None:
        assert due > now
        now = due
        if now - 100.0 > until_s:
            break
        moments.append(now - 100.0)
    return moments


@pytest.mark.parametrize(
    ("settings", "lingering", "moments"),
    [
        (USUAL, 0, [4.0, 25.0]),
        (USUAL, 3, [4.0, 25.0]),
        (DrainSettings(mode="off", grace_s=30, reserve_s=5, linger_s=4), 3, [4.0, 25.0]),
        (DrainSettings(mode="cut", prestop_sleep_s=7), 3, [7.0]),
        (DrainSettings(mode="cut"), 3, []),
    ],
    ids=["empty", "handing over", "off", "cut after a sleep", "cut"],
)
def test_a_decision_is_due_when_the_hook_may_answer(
    settings: DrainSettings, lingering: int, moments: list[float]
) -> None:
    assert asked(settings, lingering, until_s=100.0) == moments


def test_before_preStop_there_is_no_hook_to_answer_and_nothing_to_ask_for() -> None:
    pod = VirtualPod(USUAL, 10)
    assert not pod.drain.hook_done(pod.now + 1000.0)
    assert pod.drain.deadline_at is None
    assert pod.look().due_again_at is None


def test_with_streams_a_decision_is_due_when_the_local_plan_begins() -> None:
    pod = VirtualPod(DrainSettings(grace_s=45, reserve_s=5, linger_s=30), 10)
    pod.drain.prestop(pod.now)
    assert pod.look().due_again_at == pod.t0 + 20.0


def test_while_an_order_holds_a_decision_is_due_when_it_lapses() -> None:
    pod = VirtualPod(USUAL, 10, operator=True)
    pod.drain.prestop(pod.now)
    pod.answer(1, Plan("wait", valid_for_s=1.5))
    assert pod.look().due_again_at == pod.t0 + 1.5


def test_a_decision_of_a_held_pod_is_due_at_the_last_call() -> None:
    pod = VirtualPod(DrainSettings(grace_s=45, reserve_s=5, linger_s=0), 10, operator=True)
    pod.drain.prestop(pod.now)
    pod.answer(1, Plan("wait", valid_for_s=1e6))
    pod.now += 21.0
    assert pod.look().due_again_at == pod.t0 + 35.0


def test_a_handover_ends_with_the_process_and_never_before_now() -> None:
    drain = Drain(USUAL, StreamSettings())
    drain.filled()
    drain.sigterm(100.0)
    assert drain.decide(101.25, 8).goodbyes[0][1].deadline_ms == 250
    assert drain.decide(103.0, 8).goodbyes[0][1].deadline_ms == 0


def test_a_plan_that_ends_in_time_is_left_alone_by_the_last_call() -> None:
    pod = VirtualPod(DrainSettings(grace_s=65, reserve_s=5), 200, operator=True)
    pod.drain.prestop(pod.now)
    pod.answer(1, drain_plan(3.4))
    pod.run_until(60)
    assert pod.times == pytest.approx([i / 3.4 for i in range(200)], abs=1e-3)


@pytest.mark.parametrize("plan", [drain_plan(0.0), drain_plan(50, count=20)], ids=["rate", "count"])
def test_a_plan_that_leaves_streams_over_is_completed_by_the_last_call(plan: Plan) -> None:
    pod = VirtualPod(DrainSettings(grace_s=65, reserve_s=5), 100, operator=True)
    pod.drain.prestop(pod.now)
    pod.answer(1, plan)
    pod.run_until(54.9)
    assert len(pod.gone) == (plan.count or 0)
    pod.run_until(60)
    assert pod.streams == 0


def test_a_deadline_that_comes_nearer_during_the_last_call_is_kept() -> None:
    pod = VirtualPod(DrainSettings(grace_s=65, reserve_s=5), 100, operator=True)
    pod.drain.prestop(pod.now)
    pod.answer(1, Plan("wait", valid_for_s=1e6))
    pod.run_until(56)
    pod.answer(2, Plan("wait", deadline_in_s=2.0, valid_for_s=1e6))
    pod.run_until(58)
    assert pod.streams == 0
    assert peak_1s(pod.times) <= 41
