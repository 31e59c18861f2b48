"""One budget over all drains, worked out by hand: who goes, how fast, how many and from when."""

from __future__ import annotations

import math

import pytest

from tidegate.contract.report import PLAN_VALID_S, Plan
from tidegate.rollout.memory import Segment
from tidegate.rollout.pacing import (
    PACE_SHARE,
    UNLANDED_RETRY_MS,
    Job,
    Lane,
    Paced,
    pace,
)

BUDGET = 50.0
EVEN = PACE_SHARE * BUDGET


def lane(*jobs: Job, name: str = "web", rate: float = 40.0, **more: float | None) -> Lane:
    return Lane(name, jobs, rate, more.get("credit"), ready=True)


def unready(*jobs: Job) -> Lane:
    return Lane("web", jobs, 40.0, None, ready=False)


def paced(*lanes: Lane) -> Paced:
    return pace(lanes, BUDGET, 750, 100.0)


def test_one_after_the_other_each_at_the_full_rate() -> None:
    found = paced(lane(Job("b", 80.0, 60.0, 160.0), Job("a", 40.0, 30.0, 130.0)))
    first = Plan("drain", 0.0, 40.0, None, 750, valid_for_s=PLAN_VALID_S)
    second = Plan("drain", 1.0, 40.0, None, 750, valid_for_s=1.0 + PLAN_VALID_S)
    assert found.plans == {"a": first, "b": second}
    assert found.segments == {
        "web": (Segment("a", 100.0, 101.0, 40.0), Segment("b", 101.0, 103.0, 40.0))
    }
    assert found.forced_rate_per_s is None


def test_what_the_first_lane_leaves_of_the_budget_the_next_one_gets() -> None:
    late = lane(Job("b", 80.0, 60.0, 160.0), name="late")
    soon = lane(Job("a", 40.0, 30.0, 130.0), name="soon", rate=20.0)
    rates = {uid: plan.rate_per_s for uid, plan in paced(late, soon).plans.items()}
    assert rates == {"a": 20.0, "b": pytest.approx(EVEN - 20.0)}


def test_a_lane_that_has_nothing_to_do_uses_nothing() -> None:
    waits = Lane("soon", (Job("a", 40.0, 30.0, 130.0),), 40.0, None, ready=False)
    found = paced(lane(Job("b", 80.0, 60.0, 160.0), name="late"), waits)
    assert found.plans["a"] == Plan("wait", retry_ms=750, valid_for_s=PLAN_VALID_S)
    assert found.plans["b"].rate_per_s == 40.0


@pytest.mark.parametrize(
    ("streams", "kind", "rate", "forced"),
    [(44.0, "wait", 0.0, None), (45.0, "drain", 50.0, None), (60.0, "drain", 60.0, 60.0)],
    ids=["time enough", "nearly the budget", "more than the budget"],
)
def test_a_deadline_that_asks_for_nine_tenths_of_the_budget_waits_for_nothing(
    streams: float, kind: str, rate: float, forced: float | None
) -> None:
    found = paced(unready(Job("a", streams, 1.0, 101.0)))
    assert (found.plans["a"].kind, found.plans["a"].rate_per_s) == (kind, rate)
    assert found.forced_rate_per_s == forced


def test_a_pod_whose_deadline_presses_goes_before_one_that_is_due_earlier() -> None:
    """With two of them, those that are not pressed stay behind the guards."""
    pressed, calm = Job("p", 50.0, 1.0, 102.0), Job("c", 1.0, 50.0, 101.0)
    plans = paced(unready(calm, pressed)).plans
    assert {uid: plan.kind for uid, plan in plans.items()} == {"p": "drain", "c": "wait"}


@pytest.mark.parametrize(
    ("credit", "counts"),
    [
        (0.9, {"a": "wait", "b": "wait"}),
        (1.0, {"a": 1, "b": "wait"}),
        (25.5, {"a": 25, "b": "wait"}),
        (40.0, {"a": None, "b": "wait"}),
        (50.0, {"a": None, "b": 10}),
        (None, {"a": None, "b": None}),
    ],
)
def test_no_more_than_what_has_room_is_let_go(
    credit: float | None, counts: dict[str, int | str | None]
) -> None:
    jobs = Job("a", 40.0, 30.0, 130.0), Job("b", 80.0, 60.0, 160.0)
    plans = paced(lane(*jobs, credit=credit)).plans
    found = {uid: plan.count if plan.kind == "drain" else plan.kind for uid, plan in plans.items()}
    assert found == counts


def test_a_shed_always_has_a_count_and_no_order_to_wait() -> None:
    jobs = Job("a", 12.0, None, kind_shed=True), Job("b", 0.5, None, kind_shed=True)
    assert paced(lane(*jobs)).plans == {
        "a": Plan("shed", 0.0, 40.0, 12, 750, valid_for_s=PLAN_VALID_S)
    }
    assert paced(unready(*jobs)).plans == {}
    assert jobs[0].due_s == math.inf


@pytest.mark.parametrize(("retry_ms", "unlanded_ms"), [(100, UNLANDED_RETRY_MS), (2000, 2000)])
def test_clients_come_back_quickly_only_where_no_router_leads_to_a_closed_pod(
    retry_ms: int, unlanded_ms: int
) -> None:
    job = Job("a", 40.0, 0.5, 100.5)
    for ready in (True, False):  # not ready: its deadline forces it
        landed = Lane("web", (job,), 40.0, None, ready=ready)
        early = Lane("web", (job,), 40.0, None, ready=ready, landed=False)
        assert pace([landed], BUDGET, retry_ms, 100.0).plans["a"].retry_ms == retry_ms
        assert pace([early], BUDGET, retry_ms, 100.0).plans["a"].retry_ms == unlanded_ms
