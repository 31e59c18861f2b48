"""Routers that follow labels too slowly: measured on closed pods, and steering is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rollout.fleets import fleet
from rollout.fleets import pod as serving

from tidegate.contract.report import Report
from tidegate.rollout.lag import (
    MOST_REFUSED_FOR_S,
    REFUSED_FOR_S,
    REMEMBERED_S,
    WATCHED_S,
    Lag,
    judge,
    observe,
)
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import Decision, plan, refusals
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
        ([(0.0, pod(100)), (5.0, pod(100)), (5.25, pod(120))], 5.0),
        ([(0.0, pod(100)), (3.0, pod(100)), (3.25, pod(110)), (8.0, pod(125))], 3.25),
        ([(0.0, pod(100)), (5.0, pod(100, age_s=1.0)), (5.25, pod(120))], 4.0),
        ([(0.0, pod(100)), (25.0, pod(160))], None),
        ([(0.0, pod(100, age_s=5.0)), (6.0, pod(160))], None),
        ([(0.0, pod(100)), (1.0, pod(150)), (9.0, pod(150))], None),
        ([(0.0, pod(100)), (5.0, pod(100)), (5.25, pod(104))], None),
        ([(0.0, pod(100)), (WATCHED_S + 1, pod(100)), (WATCHED_S + 2, pod(200))], None),
        ([(0.0, pod(100)), (2.0, pod(100, admitted=True)), (5.0, pod(160))], None),
        ([(0.0, pod(100, admitted=True)), (5.0, pod(160, admitted=True))], None),
        ([(0.0, pod(100)), (5.0, pod(100)), (5.2, replace(pod(160), deleting=True))], None),
    ],
    ids=[
        "late", "the last certain one counts", "a report's age",
        "all at once after a silence: perhaps all in time", "not reported since long before",
        "within the expected lag", "a few strays", "long after", "opened meanwhile", "open",
        "deleted",
    ],
)  # fmt: skip
def test_the_lag_is_at_least_the_time_from_the_closing_to_the_report_before_the_arrivals(
    looks: list[tuple[float, Pod]], lag_s: float | None
) -> None:
    assert list(watched(*looks).late.values()) == ([] if lag_s is None else [lag_s])


def late(*lags_s: float, at_s: float = 0.0) -> Lag:
    return Lag(late={at_s + 2.0 * i: lag_s for i, lag_s in enumerate(lags_s)})


@pytest.mark.parametrize(
    ("lags_s", "refused"),
    [
        ((2.1, 2.1, 2.1), True),
        ((1.9, 1.9, 1.9), False),
        ((9.0, 9.0), False),
        ((1.4, 1.5, 20.0), False),
        ((1.4, 2.1, 20.0), True),
    ],
    ids=["three late", "less than a share", "too few", "one outlier", "the median"],
)
def test_it_is_refused_when_more_than_a_share_goes_astray_after_several_changes(
    lags_s: tuple[float, ...], refused: bool
) -> None:
    lag = judge(late(*lags_s), SHARE, POLICY, 10.0, rolling=False)
    assert (lag.refusal is not None) == refused
    if refused:
        assert "after 3 label changes" in str(lag.refusal)
        assert "2.1 s later" in str(lag.refusal)
        assert "budgetPerSecond below 47.6" in str(lag.refusal)


def test_pods_that_one_change_closed_are_one_measure() -> None:
    lag = Lag()
    for now, arrived in ((0.0, 100), (5.0, 100), (5.25, 150)):
        lag = observe(lag, [pod(arrived, uid=uid) for uid in "abc"], SHARE, POLICY, now)
    assert lag.late == {0.0: 5.0}


def test_a_late_change_is_forgotten() -> None:
    lag = observe(late(9.0, 9.0, 9.0), [], SHARE, POLICY, REMEMBERED_S + 3.0)
    assert lag.late == {4.0: 9.0}


def test_in_mid_rollout_nothing_changes_and_after_minutes_it_is_tried_again() -> None:
    slow = late(9.0, 9.0, 9.0)
    assert judge(slow, SHARE, POLICY, 10.0, rolling=True) == slow
    refused = judge(slow, SHARE, POLICY, 10.0, rolling=False)
    until_s = 10.0 + REFUSED_FOR_S
    assert judge(refused, SHARE, POLICY, until_s - 1, rolling=True).refusal is not None
    assert judge(refused, SHARE, POLICY, until_s, rolling=True).refusal is None


def test_each_new_try_that_shows_the_same_is_refused_for_longer() -> None:
    lag, now, lasted = Lag(), 0.0, []
    for _ in range(5):
        lag = judge(replace(lag, late=late(9.0, 9.0, 9.0).late), SHARE, POLICY, now, rolling=False)
        lasted.append(lag.until_s - now)
        now = lag.until_s
        lag = judge(lag, SHARE, POLICY, now, rolling=False)
        now += 60.0
    assert lasted == [120.0, 240.0, 480.0, MOST_REFUSED_FOR_S, MOST_REFUSED_FOR_S]
    now += REMEMBERED_S
    lag = judge(replace(lag, late=late(9.0, 9.0, 9.0).late), SHARE, POLICY, now, rolling=False)
    assert lag.until_s - now == REFUSED_FOR_S


class Planner:
    """`plan` with its memory, one look after the other."""

    def __init__(self) -> None:
        self.memory = Memory()

    def look(self, snapshot: Snapshot, now: float) -> Decision:
        decision = plan(snapshot, POLICY, now, self.memory)
        self.memory = decision.memory
        return decision


def rollout(arrived: int, *, rolls: bool) -> Snapshot:
    others = [pod(100, admitted=True, uid=uid) for uid in ("b", "c")]
    old = [replace(pod(100, admitted=True, uid="o"), revision="old")] if rolls else []
    return Snapshot((Workload("web", 3, "r", (pod(arrived, uid="a"), *others, *old)),))


def test_a_leader_that_slept_for_25_s_blames_no_proxy() -> None:
    """All that came meanwhile is in one report: before, this was a lag of 25 s."""
    planner = Planner()
    planner.look(rollout(100, rolls=True), 0.0)
    planner.look(rollout(190, rolls=True), 25.0)
    planner.look(rollout(190, rolls=False), 27.0)
    assert refusals(planner.memory) == {}


def test_an_endpoint_controller_that_is_late_once_is_no_reason_to_refuse() -> None:
    """The API server was away for 20 s: one label change landed when it was back."""
    planner = Planner()
    for tick in range(80):
        planner.look(rollout(100 + tick, rolls=True), 0.25 * tick)
    planner.look(rollout(180, rolls=False), 21.0)
    assert refusals(planner.memory) == {}


def slow_proxy(planner: Planner, changes: int) -> float:
    """Label changes 10 s apart, each followed by 8 s of arrivals on the closed pod."""
    now, arrived = 0.0, 100
    for _ in range(changes):
        opened = rollout(arrived, rolls=True)
        (web,) = opened.workloads
        shown = tuple(replace(p, admitted=True) if p.uid == "a" else p for p in web.pods)
        planner.look(Snapshot((replace(web, pods=shown),)), now)
        for _ in range(32):
            now += 0.25
            arrived += 2
            planner.look(rollout(arrived, rolls=True), now)
        now += 2.0
    return now


def test_a_proxy_that_is_always_late_is_refused_after_the_rollout_and_everything_is_open() -> None:
    planner = Planner()
    now = slow_proxy(planner, 3)
    assert refusals(planner.memory) == {}
    decision = planner.look(rollout(300, rolls=False), now)
    assert "after 3 label changes" in refusals(planner.memory)["web"]
    assert SetAdmit("a", True) in decision.actions
    assert any(isinstance(a, Note) and a.reason == "SteeringRefused" for a in decision.actions)
    decision = planner.look(rollout(300, rolls=True), now + 4.0)
    assert not any(isinstance(a, SetAdmit) and not a.admitted for a in decision.actions)


def test_a_fleet_that_was_left_uneven_by_a_refusal_is_evened_out_when_it_is_over() -> None:
    uneven = fleet(serving("a", 138), serving("b", 86), serving("c", 76), replicas=3)
    planner = Planner()
    planner.look(uneven, 0.0)
    (kept,) = planner.memory.workloads.values()
    lag = judge(late(9.0, 9.0, 9.0), SHARE, POLICY, 0.0, rolling=False)
    planner.memory = Memory({"shop/feed": replace(kept, lag=lag)})
    closed_s = [
        float(now)
        for now in range(int(REFUSED_FOR_S) + 30)
        if SetAdmit("a", False) in planner.look(uneven, float(now)).actions
    ]
    assert closed_s[0] >= REFUSED_FOR_S
