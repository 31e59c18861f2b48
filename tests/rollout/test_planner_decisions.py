"""What the planner does in the situations the design names."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from kit.reference import heap_s
from rollout.fleets import draining, fleet, pod, report

from tidegate.contract.report import RESTING_REPORT_S, ROLLING_REPORT_S
from tidegate.rollout.memory import Memory
from tidegate.rollout.pacing import PACE_SHARE
from tidegate.rollout.plan import (
    MOVING_REQUEUE_S,
    RESTING_REQUEUE_S,
    Decision,
    plan,
    plans_of,
)
from tidegate.rollout.snapshot import Note, Pod, Policy, SetAdmit, SetDeletionCost, Snapshot

POLICY = Policy(budget_per_s=50.0)
UNREADY = pod("n", 0, ready=False)


def admits(decision: Decision) -> dict[str, bool]:
    return {a.uid: a.admitted for a in decision.actions if isinstance(a, SetAdmit)}


def kinds(decision: Decision) -> dict[str, str]:
    return {uid: sent.plan.kind for uid, sent in plans_of(decision).items() if sent.plan}


def after_looks(snapshot: Snapshot, seconds: float, policy: Policy = POLICY) -> Decision:
    """The decision after looking at the same world for a while."""
    now, memory = 100.0, Memory()
    decision = plan(snapshot, policy, now, memory)
    while now < 100.0 + seconds:
        now += decision.requeue_after_s
        decision = plan(snapshot, policy, now, decision.memory)
    return decision


def test_a_fleet_as_desired_is_left_alone() -> None:
    even = fleet(pod("a", 100), pod("b", 101), pod("c", 99))
    decision = after_looks(even, 20.0)
    assert decision.actions == ()
    assert decision.requeue_after_s == RESTING_REQUEUE_S


def test_at_rest_every_ready_pod_is_opened() -> None:
    decision = plan(fleet(pod("a", 100), pod("b", 100, admitted=False)), POLICY, 1.0, Memory())
    assert admits(decision) == {"b": True}


def test_without_a_ready_new_pod_the_old_ones_stay_open_and_drains_wait() -> None:
    world = fleet(
        pod("a", 100, "old", admitted=False), draining("b", 100), pod("n", 0, ready=False)
    )
    decision = plan(world, POLICY, 1.0, Memory())
    assert admits(decision) == {"a": True}
    assert kinds(decision) == {"b": "wait"}


def test_an_undo_to_pods_without_a_sidecar_drains_at_once() -> None:
    """They are not in the picture, so waiting for one of them would last until the deadline."""
    world = fleet(pod("a", 100, "old", admitted=False), draining("b", 100), injected=False)
    decision = plan(world, POLICY, 1.0, Memory())
    assert admits(decision) == {"a": True}
    assert kinds(decision) == {"b": "drain"}


def test_the_last_pods_of_an_undone_adoption_drain_at_once() -> None:
    world = fleet(draining("b", 100), steerable=False, injected=False)
    assert kinds(plan(world, POLICY, 1.0, Memory())) == {"b": "drain"}


def test_the_first_new_pod_closes_the_old_ones() -> None:
    world = fleet(pod("a", 100, "old"), pod("b", 100, "old"), pod("c", 100, "old"), pod("n", 0))
    assert admits(plan(world, POLICY, 1.0, Memory())) == {"a": False, "b": False, "c": False}


def test_a_drain_waits_until_the_flip_has_landed() -> None:
    before = fleet(pod("a", 100, "old"), draining("b", 100), pod("n", 0), replicas=2)
    after = fleet(pod("a", 100, "old", admitted=False), draining("b", 100), pod("n", 0), replicas=2)
    first = plan(before, POLICY, 1.0, Memory())
    early = plan(after, POLICY, 1.5, first.memory)
    landed = plan(after, POLICY, 1.0 + POLICY.flip_lag_s, early.memory)
    assert kinds(first) == kinds(early) == {"b": "wait"}
    assert kinds(landed) == {"b": "drain"}


def test_a_near_deadline_does_not_wait_for_anything() -> None:
    world = fleet(pod("a", 100, "old"), draining("b", 100, left_s=1.0), pod("n", 0, ready=False))
    decision = plan(world, POLICY, 1.0, Memory())
    sent = plans_of(decision)["b"].plan
    assert sent is not None
    assert sent.kind == "drain"
    assert sent.rate_per_s == pytest.approx(100.0)
    notes = [(a.reason, a.warning) for a in decision.actions if isinstance(a, Note)]
    assert notes == [("BudgetExceeded", True)]
    again = plan(world, POLICY, 1.1, decision.memory)
    assert not [a for a in again.actions if isinstance(a, Note)]


def test_the_earliest_deadline_is_served_first_and_the_next_one_starts_where_it_ends() -> None:
    world = fleet(
        draining("late", 50, left_s=60.0),
        draining("soon", 50, left_s=30.0),
        *(pod(f"n{i}", 0) for i in range(3)),
    )
    told = plans_of(plan(world, POLICY, 1.0, Memory()))
    assert told["soon"].plan is not None
    assert told["late"].plan is not None
    assert told["soon"].plan.start_in_s == 0.0
    assert told["late"].plan.start_in_s == pytest.approx(50 / (PACE_SHARE * 50.0))


def test_pods_deleted_together_keep_their_order_however_late_their_reports_come() -> None:
    """The same deadline is heard a little earlier or later each time; changing places at every
    look would have both let go at once."""
    memory, firsts = Memory(), []
    for look in range(10):
        off_s = 0.2 if look % 2 else -0.2
        world = fleet(
            draining("a", 50, left_s=30.0 + off_s - look * 0.1),
            draining("b", 50, left_s=30.0 - off_s - look * 0.1),
            *(pod(f"n{i}", 0) for i in range(3)),
        )
        decision = plan(world, POLICY, 1.0 + look * 0.1, memory)
        memory = decision.memory
        plans = {uid: sent.plan for uid, sent in plans_of(decision).items() if sent.plan}
        firsts.append(min(plans, key=lambda uid: plans[uid].start_in_s))
    assert len({*firsts}) == 1


def test_a_deadline_that_has_really_changed_changes_the_order() -> None:
    new = [pod(f"n{i}", 0) for i in range(3)]
    before = fleet(draining("a", 50, left_s=30.0), draining("b", 50, left_s=40.0), *new)
    shortened = fleet(draining("a", 50, left_s=30.0), draining("b", 50, left_s=20.0), *new)
    first = plan(before, POLICY, 1.0, Memory())
    told = plans_of(plan(shortened, POLICY, 1.1, first.memory))
    assert told["b"].plan is not None
    assert told["b"].plan.start_in_s == 0.0


def test_two_workloads_share_one_budget() -> None:
    one, two = (
        replace(
            fleet(
                draining(f"{name}-d", 50, left_s=left_s),
                *(pod(f"{name}-{i}", 0) for i in range(3)),
            ).workloads[0],
            name=name,
        )
        for name, left_s in (("one", 60.0), ("two", 30.0))
    )
    decision = plan(Snapshot((one, two)), POLICY, 1.0, Memory())
    assert kinds(decision) == {"two-d": "drain", "one-d": "wait"}


def test_only_what_fits_below_the_target_is_let_go_while_pods_are_still_to_come() -> None:
    world = fleet(pod("a", 80, "old", admitted=False), draining("b", 140), pod("n", 70), replicas=3)
    sent = plans_of(plan(world, POLICY, 1.0, Memory()))["b"].plan
    assert sent is not None
    assert sent.count == int((80 + 140 + 70) / 3 - 70)


def test_old_pods_get_their_load_as_deletion_cost_when_a_revision_begins() -> None:
    world = fleet(
        pod("a", 100, "old", deletion_cost=None),
        pod("b", 40, "old", deletion_cost=100),
        pod("n", 0),
    )
    costs = {
        a.uid: a.cost
        for a in plan(world, POLICY, 1.0, Memory()).actions
        if isinstance(a, SetDeletionCost)
    }
    assert costs == {"a": 100, "b": 40}


def test_a_paused_rollout_opens_the_old_pods_and_a_full_canary_gets_no_more() -> None:
    world = fleet(
        pod("a", 100, "old", admitted=False), pod("b", 98, "old", admitted=False), pod("n", 120)
    )
    assert "a" not in admits(after_looks(world, 5.0))
    assert admits(after_looks(world, 15.0)) == {"a": True, "b": True}


def test_a_refused_service_is_told_once_and_never_steered() -> None:
    world = fleet(pod("a", 10, "old"), pod("n", 0), steerable=False, refusal="sessionAffinity")
    first = plan(world, POLICY, 1.0, Memory())
    again = plan(world, POLICY, 2.0, first.memory)
    assert [a.message for a in first.actions if isinstance(a, Note)] == ["sessionAffinity"]
    assert not admits(first)
    assert not [a for a in again.actions if isinstance(a, Note)]


def test_a_lopsided_fleet_sheds_from_the_full_to_the_empty() -> None:
    world = fleet(pod("a", 200), pod("b", 50), pod("c", 50))
    now, decision = 100.0, plan(world, POLICY, 100.0, Memory())
    assert decision.actions == ()
    while not admits(decision) and now < 120.0:
        now += decision.requeue_after_s
        decision = plan(world, POLICY, now, decision.memory)
    assert admits(decision) == {"a": False}

    closed = fleet(pod("a", 200, admitted=False), pod("b", 50), pod("c", 50))
    told = decision
    while not kinds(told) and now < 130.0:
        now += told.requeue_after_s
        told = plan(closed, POLICY, now, told.memory)
    sent = plans_of(told)["a"].plan
    assert sent is not None
    assert (sent.kind, sent.count) == ("shed", 97)
    assert sent.rate_per_s <= POLICY.budget_per_s


def test_what_chance_explains_is_not_stirred() -> None:
    assert after_looks(fleet(pod("a", 115), pod("b", 95), pod("c", 90)), 30.0).actions == ()


def test_a_thousand_pods_are_planned_while_forty_thousand_entries_pass_a_heap() -> None:
    """In processor time, the best of five: fifty milliseconds where this was written."""
    one = fleet(
        *(draining(f"d{i}", 100) for i in range(3)),
        *(pod(f"n{i}", 90) for i in range(7)),
        replicas=10,
    ).workloads[0]
    many = Snapshot(tuple(replace(one, name=f"w{i}") for i in range(100)))
    spent = []
    for _ in range(5):
        started = time.process_time()
        plan(many, POLICY, 1.0, Memory())
        spent.append(time.process_time() - started)
    assert min(spent) <= min(heap_s(40_000) for _ in range(5))


def test_pods_that_stay_silent_because_nothing_changed_do_not_delay_the_rebalance() -> None:
    def world(age_s: float) -> Snapshot:
        loads = {"a": 130, "b": 80, "c": 90}
        return fleet(*(pod(uid, n, report_age_s=age_s) for uid, n in loads.items()))

    rolling = fleet(pod("a", 130), pod("b", 80), pod("c", 90), draining("d", 0))
    decision = plan(rolling, POLICY, 100.0, Memory())
    now = 100.0
    while not admits(decision) and now < 110.0:
        now += decision.requeue_after_s
        decision = plan(world(now - 100.0), POLICY, now, decision.memory)
    assert now < 103.0
    assert admits(decision)["a"] is False, "the fullest is closed"
    assert "b" not in admits(decision), "the emptiest stays open"


def test_where_no_open_pod_stays_open_the_next_ones_are_opened_before_the_last_are_closed() -> None:
    closed = fleet(pod("a", 100, "old"), pod("n", 0, admitted=False), replicas=2)
    opened = fleet(pod("a", 100, "old"), pod("n", 0), replicas=2)
    first = plan(closed, POLICY, 1.0, Memory())
    second = plan(opened, POLICY, 1.1, first.memory)
    assert admits(first) == {"n": True}
    assert admits(second) == {"a": False}


@pytest.mark.parametrize(
    "left_behind",
    [
        {"report": report("d", 100), "report_age_s": 60.0},
        {"deleting": True, "deadline_in_s": 0.0, "report": report("d", 100), "report_age_s": 60.0},
        {"deleting": True, "deadline_in_s": 0.0, "report": None},
    ],
    ids=["unready", "deleted", "deleted before the operator came"],
)
def test_what_a_dead_node_leaves_behind_holds_up_nothing(left_behind: dict[str, Any]) -> None:
    dead = pod("d", 100, ready=False, **left_behind)
    world = fleet(pod("a", 150), pod("b", 150), pod("c", 0), dead)
    now, decision = 100.0, plan(world, POLICY, 100.0, Memory())
    while not decision.actions and now < 110.0:
        now += decision.requeue_after_s
        decision = plan(world, POLICY, now, decision.memory)
    assert decision.actions == (SetAdmit("a", False), SetAdmit("b", False))


def test_an_unready_pod_whose_sidecar_speaks_keeps_its_streams() -> None:
    world = fleet(pod("a", 100), pod("b", 100), pod("c", 100, ready=False))
    assert kinds(after_looks(world, 20.0)) == {}


@pytest.mark.parametrize(("age_s", "kind"), [(0.3, "wait"), (0.6, "drain")])
def test_a_pod_deleted_while_it_was_open_drains_when_its_endpoint_has_left(
    age_s: float, kind: str
) -> None:
    """Its drain began half a second before its report."""
    seen = report("b", 50, "draining", drain_started_s=0.5, deadline_in_s=40.0)
    leaving = draining("b", 50, admitted=True, report=seen, report_age_s=age_s)
    world = fleet(leaving, pod("n", 0), pod("m", 0), replicas=2)
    assert kinds(plan(world, POLICY, 1.0, Memory())) == {"b": kind}


def test_labels_that_do_not_show_yet_are_written_again_after_an_interval() -> None:
    world = fleet(pod("a", 100, "old"), pod("n", 0), replicas=2)
    first = plan(world, POLICY, 1.0, Memory())
    early = plan(world, POLICY, 0.9 + POLICY.flip_interval_s, first.memory)
    due = plan(world, POLICY, 1.0 + POLICY.flip_interval_s, first.memory)
    assert (admits(first), admits(early), admits(due)) == ({"a": False}, {}, {"a": False})


def test_a_broken_rollout_that_stands_costs_no_more_than_a_fleet_at_rest() -> None:
    """Its new pod never gets ready; when another one does, it is looked at as any rollout."""
    old = [pod(uid, 100, "old") for uid in ("a", "b", "c")]
    broken = fleet(*old, UNREADY)
    early, late = after_looks(broken, 5.0), after_looks(broken, 15.0)
    assert (early.requeue_after_s, early.report_every_s) == (MOVING_REQUEUE_S, ROLLING_REPORT_S)
    assert (late.requeue_after_s, late.report_every_s) == (RESTING_REQUEUE_S, RESTING_REPORT_S)
    repaired = plan(fleet(*old, pod("n", 0)), POLICY, 120.0, late.memory)
    assert (repaired.requeue_after_s, repaired.report_every_s) == (
        MOVING_REQUEUE_S,
        ROLLING_REPORT_S,
    )


@pytest.mark.parametrize(
    ("others", "guard"),
    [
        ([pod("a", 90, "old"), pod("b", 100, "old")], "a"),
        ([pod("b", 100, "old", admitted=False), pod("m", 100)], "m"),
    ],
    ids=["the first new pod", "a new pod beside one that has its share"],
)
def test_an_available_pod_stays_open_beside_one_that_a_second_restart_would_delete(
    others: list[Pod], guard: str
) -> None:
    def opened(available: bool) -> set[str]:
        pods = (*others, pod("n", 0, available=available))
        decision = plan(fleet(*pods), POLICY, 1.0, Memory())
        changed = admits(decision)
        return {p.uid for p in pods if changed.get(p.uid, p.admitted)}

    assert opened(available=False) == {"n", guard}
    assert opened(available=True) == {"n"}
