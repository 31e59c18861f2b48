"""Drains that must not wait, because what they would wait for comes only after them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rollout.fleets import draining, fleet, pod

from tidegate.rollout.holding import NO_NEW_POD, NO_ROOM, NOTED_AFTER_S, ROUTERS
from tidegate.rollout.memory import Memory
from tidegate.rollout.pacing import PACE_SHARE
from tidegate.rollout.plan import Decision, holds, plan, plans_of
from tidegate.rollout.rebalance import donors
from tidegate.rollout.snapshot import Note, Policy, Snapshot

POLICY = Policy(budget_per_s=50.0)
PACE_PER_S = PACE_SHARE * POLICY.budget_per_s


def drained(decision: Decision) -> dict[str, tuple[str, int | None, float, float]]:
    """Kind, count, rate and start of every plan."""
    sent = {uid: told.plan for uid, told in plans_of(decision).items() if told.plan}
    return {u: (p.kind, p.count, p.rate_per_s, p.start_in_s) for u, p in sent.items()}


@pytest.mark.parametrize(("in_place", "kind"), [(True, "drain"), (False, "wait")])
def test_the_first_pod_goes_to_the_old_ones_where_its_end_brings_the_first_new_one(
    in_place: bool, kind: str
) -> None:
    world = fleet(
        pod("s0", 100, "old"), pod("s1", 100, "old"), draining("s2", 100), in_place=in_place
    )
    told = plans_of(plan(world, POLICY, 1.0, Memory()))["s2"].plan
    assert told is not None
    assert told.kind == kind
    assert told.rate_per_s == (PACE_PER_S if in_place else 0.0)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_full_fleet_does_not_hold_or_slow_down_a_pod_that_must_go_before_the_next_comes(
    in_place: bool,
) -> None:
    """150 streams leave, and the only new pod has its share; surge would bring more pods."""
    world = fleet(pod("s0", 50, "old"), draining("s1", 150), pod("s2", 100), in_place=in_place)
    decision = plan(world, POLICY, 1.0, Memory())
    told = drained(decision)["s1"]
    assert told == (("drain", None, PACE_PER_S, 0.0) if in_place else ("wait", None, 0.0, 0.0))


def test_with_nowhere_to_go_all_pods_end_at_once_and_only_the_returns_keep_the_budget() -> None:
    world = fleet(draining("a", 300), draining("b", 100), in_place=True)
    told = plans_of(plan(world, POLICY, 1.0, Memory()))
    plans = {uid: sent.plan for uid, sent in told.items() if sent.plan}
    assert {uid: (p.kind, p.start_in_s, p.rate_per_s) for uid, p in plans.items()} == {
        "a": ("drain", 0.0, 300.0),
        "b": ("drain", 0.0, 100.0),
    }
    returns = {uid: p.returns_per_s or 0.0 for uid, p in plans.items()}
    assert returns == pytest.approx({"a": PACE_PER_S * 3 / 4, "b": PACE_PER_S / 4})


@pytest.mark.parametrize(("asked_ms", "sent_ms"), [(100, 3000), (10_000, 10_000)])
def test_clients_without_a_pod_to_go_to_wait_at_least_as_long_as_the_policy_asks(
    asked_ms: int, sent_ms: int
) -> None:
    world = fleet(draining("a", 300), in_place=True)
    told = plans_of(plan(world, replace(POLICY, retry_ms=asked_ms), 1.0, Memory()))["a"].plan
    assert told is not None
    assert told.retry_ms == sent_ms


def test_a_workload_scaled_to_nothing_waits_for_no_pod() -> None:
    told = drained(plan(fleet(draining("a", 100), replicas=0), POLICY, 1.0, Memory()))
    assert told == {"a": ("drain", None, PACE_PER_S, 0.0)}


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (fleet(pod("a", 100, "old"), draining("b", 100), pod("n", 0, ready=False)), NO_NEW_POD),
        (fleet(pod("a", 0, "old", admitted=False), draining("b", 100), pod("n", 60)), NO_ROOM),
        (fleet(pod("a", 100, "old"), draining("b", 100), pod("n", 0), replicas=2), ROUTERS),
    ],
    ids=["no new pod", "no room", "labels that do not change"],
)
def test_a_drain_that_is_held_is_noted_once_with_its_reason(world: Snapshot, reason: str) -> None:
    now, notes, memory = 1.0, list[Note](), Memory()
    while now < 1.0 + 2 * NOTED_AFTER_S:
        decision = plan(world, POLICY, now, memory)
        memory, now = decision.memory, now + 0.5
        found = [a for a in decision.actions if isinstance(a, Note)]
        assert not found or now > 1.0 + NOTED_AFTER_S, "a short wait is part of every drain"
        notes += found
    assert [(n.reason, n.warning) for n in notes] == [("DrainHeld", False)]
    assert notes[0].message == f"100 streams of 1 draining pod(s) wait: {reason}"
    assert holds(memory, now) == {"shop/feed": reason}
    over = plan(fleet(pod("n", 100), pod("m", 100), replicas=2), POLICY, now, memory)
    assert holds(over.memory, now) == {}


def test_the_empty_pod_that_ends_a_rollout_in_place_is_filled_half_way() -> None:
    """Three pods: 4/3 of the clients have moved, a stock rollout moves 19/12."""
    loads = {"s0": 0.0, "s1": 150.0, "s2": 150.0}
    given = donors(loads, 100.0, 0.0, in_place=True)
    assert 4 / 3 + sum(given.values()) / 300 <= 19 / 12
    assert 60 <= sum(given.values()) < sum(donors(loads, 100.0, 0.0).values())
