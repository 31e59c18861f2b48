"""Routers that follow labels too slowly: measured on closed pods, and steering is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.contract.report import Report
from tidegate.rollout.lag import REFUSED_FOR_S, WATCHED_S, Lag, judge, observe
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import plan, refusals
from tidegate.rollout.snapshot import Note, Pod, Policy, SetAdmit, Snapshot, Workload

POLICY = Policy(budget_per_s=50.0)
SHARE = 100.0


def pod(arrived: int, *, admitted: bool = False, age_s: float = 0.0, uid: str = "p") -> Pod:
    report = Report(uid, 1, 100, arrived, 0, "ready", 0, 1000.0, "test")
    return Pod(uid, uid, "r", True, admitted=admitted, report=report, report_age_s=age_s)


def watched(*looks: tuple[float, Pod]) -> Lag:
    lag = Lag()
    for now, seen in looks:
        lag = observe(lag, [seen], SHARE, POLICY, now)
    return lag


@pytest.mark.parametrize(
    ("looks", "lag_s"),
    [
        ([(0.0, pod(100)), (5.0, pod(120))], 5.0),
        ([(0.0, pod(100)), (3.0, pod(110)), (8.0, pod(125))], 8.0),
        ([(0.0, pod(100)), (5.0, pod(120, age_s=1.0))], 4.0),
        ([(0.0, pod(100)), (1.0, pod(150)), (9.0, pod(150))], None),
        ([(0.0, pod(100)), (5.0, pod(104))], None),
        ([(0.0, pod(100)), (WATCHED_S + 1, pod(200))], None),
        ([(0.0, pod(100)), (2.0, pod(100, admitted=True)), (5.0, pod(160))], None),
        ([(0.0, pod(100, admitted=True)), (5.0, pod(160, admitted=True))], None),
        ([(0.0, pod(100)), (5.0, replace(pod(160), deleting=True))], None),
    ],
    ids=[
        "late", "the last counts", "a report's age", "within the expected lag", "a few strays",
        "long after", "opened meanwhile", "open", "deleted",
    ],
)  # fmt: skip
def test_the_lag_is_the_last_arrival_on_a_closed_pod(
    looks: list[tuple[float, Pod]], lag_s: float | None
) -> None:
    assert watched(*looks).measured_s == lag_s


@pytest.mark.parametrize(("lag_s", "refused"), [(1.9, False), (2.1, True)])
def test_it_is_refused_when_more_than_a_share_goes_astray_within_it(
    lag_s: float, refused: bool
) -> None:
    lag = judge(Lag(measured_s=lag_s), SHARE, POLICY, 0.0, rolling=False)
    assert (lag.refusal is not None) == refused
    assert lag.measured_s is None
    if refused:
        assert "2.1 s after a pod was closed" in str(lag.refusal)
        assert "budgetPerSecond below 47.6" in str(lag.refusal)


def test_in_mid_rollout_nothing_changes_and_after_an_hour_it_is_tried_again() -> None:
    slow = Lag(measured_s=9.0)
    assert judge(slow, SHARE, POLICY, 0.0, rolling=True) == slow
    refused = judge(slow, SHARE, POLICY, 0.0, rolling=False)
    assert judge(refused, SHARE, POLICY, REFUSED_FOR_S - 1, rolling=True).refusal is not None
    assert judge(refused, SHARE, POLICY, REFUSED_FOR_S, rolling=True) == replace(
        refused, refusal=None
    )


def test_the_planner_opens_every_pod_says_why_and_steers_no_more() -> None:
    def look(
        now: float, arrived: int, memory: Memory, *, rolls: bool
    ) -> tuple[Memory, list[object]]:
        closed = pod(arrived, uid="a")
        others = [pod(100, admitted=True, uid=uid) for uid in ("b", "c")]
        gone = (
            [replace(pod(100, admitted=True, uid="o"), revision="old", ready=rolls)]
            if rolls
            else []
        )
        workload = Workload("web", 3, "r", (closed, *others, *gone))
        decision = plan(Snapshot((workload,)), POLICY, now, memory)
        return decision.memory, list(decision.actions)

    memory, _ = look(0.0, 100, Memory(), rolls=True)
    memory, actions = look(6.0, 160, memory, rolls=True)
    assert refusals(memory) == {}
    memory, actions = look(8.0, 160, memory, rolls=False)
    assert "6.0 s after a pod was closed" in refusals(memory)["web"]
    assert SetAdmit("a", True) in actions
    assert any(isinstance(a, Note) and a.reason == "SteeringRefused" for a in actions)
    memory, actions = look(12.0, 160, memory, rolls=True)
    assert not any(isinstance(a, SetAdmit) and not a.admitted for a in actions)
