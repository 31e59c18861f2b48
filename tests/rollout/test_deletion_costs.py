"""The load is written as deletion cost where none is, or it moved by a tenth of the mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rollout.fleets import draining, fleet, pod, report

from tidegate.rollout.memory import Memory
from tidegate.rollout.ordering import REWRITE_EVERY_S, deletion_costs
from tidegate.rollout.plan import Decision, plan
from tidegate.rollout.snapshot import Policy, SetDeletionCost, Snapshot

POLICY = Policy(budget_per_s=50.0)


def costs(decision: Decision) -> dict[str, int]:
    return {a.uid: a.cost for a in decision.actions if isinstance(a, SetDeletionCost)}


def written(loads: dict[str, float], known: dict[str, int | None]) -> dict[str, int]:
    pods = [pod(uid, 0, deletion_cost=cost) for uid, cost in known.items()]
    return {a.uid: a.cost for a in deletion_costs(pods, loads, due=True)}


@pytest.mark.parametrize(
    ("known", "rewritten"),
    [(150, False), (160, False), (161, True), (140, False), (139, True), (None, True)],
)
def test_a_cost_is_rewritten_beyond_a_tenth_of_the_mean(known: int | None, rewritten: bool) -> None:
    """The mean of both pods is 100."""
    costs = written({"a": 150.0, "b": 50.0}, {"a": known, "b": 50})
    assert costs == ({"a": 150} if rewritten else {})


def test_a_nearly_empty_fleet_is_not_rewritten_for_a_fraction_of_a_stream() -> None:
    assert written({"a": 0.05}, {"a": 0}) == {}
    assert written({"a": 0.0}, {"a": 1}) == {"a": 0}
    assert written({"a": 1.5}, {"a": 1}) == {"a": 2}


def test_without_pods_or_before_it_is_due_nothing_is_written() -> None:
    assert deletion_costs([], {}, due=True) == []
    assert deletion_costs([pod("a", 9, deletion_cost=None)], {"a": 9.0}, due=False) == []


def test_at_rest_costs_are_rewritten_every_five_minutes_and_a_missing_one_at_once() -> None:
    even = fleet(pod("a", 100), pod("b", 100), pod("c", 100))
    moved = fleet(*(pod(uid, 120, deletion_cost=100) for uid in "abc"))
    new = fleet(
        *(pod(uid, 120, deletion_cost=100) for uid in "ab"), pod("c", 120, deletion_cost=None)
    )
    first = plan(even, POLICY, 1000.0, Memory())
    early = plan(moved, POLICY, 1000.0 + REWRITE_EVERY_S - 1.0, first.memory)
    due = plan(moved, POLICY, 1000.0 + REWRITE_EVERY_S, first.memory)
    assert (costs(early), costs(due)) == ({}, {"a": 120, "b": 120, "c": 120})
    assert costs(plan(new, POLICY, 1010.0, first.memory)) == {"a": 120, "b": 120, "c": 120}
    again = plan(moved, POLICY, 1000.0 + 2 * REWRITE_EVERY_S - 1.0, due.memory)
    assert costs(again) == {}


def test_while_a_fleet_settles_no_cost_is_written() -> None:
    """The loads of a rollout's end are not those that the pods will have."""
    rolling = fleet(*(pod(uid, 100, deletion_cost=None) for uid in "abc"), draining("d", 10))
    after = fleet(*(pod(uid, 100, deletion_cost=None) for uid in "abc"))
    decision = plan(rolling, POLICY, 100.0, Memory())
    decision = plan(after, POLICY, 100.5, decision.memory)
    assert costs(decision) == {}
    for now in (102.5, 105.0):
        decision = plan(after, POLICY, now, decision.memory)
    assert costs(decision) == {"a": 100, "b": 100, "c": 100}


def test_a_revision_has_its_costs_written_once_when_every_old_pod_has_reported() -> None:
    """A new leader gets the reports one by one."""

    def world(*silent: str, revision: str = "new") -> Snapshot:
        old = (
            pod(
                uid,
                100,
                "old",
                deletion_cost=None,
                report=None if uid in silent else report(uid, 100),
            )
            for uid in "ab"
        )
        one = fleet(*old, pod("n", 0, revision), replicas=2).workloads[0]
        return Snapshot((replace(one, revision=revision),))

    first = plan(world("b"), POLICY, 100.0, Memory())
    assert costs(first) == {"a": 100}
    second = plan(world(), POLICY, 100.1, first.memory)
    assert costs(second) == {"a": 100, "b": 100}
    third = plan(world(), POLICY, 100.2, second.memory)
    assert costs(third) == {}
    assert costs(plan(world(revision="newer"), POLICY, 100.3, third.memory)) == {"a": 100, "b": 100}
