"""A crowd that joins a fleet which the planner would even out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from rollout.fleets import fleet, pod

from tidegate.rollout.arriving import WINDOW_S, Arriving, follow
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import plan, plans_of
from tidegate.rollout.snapshot import Policy, SetAdmit, Snapshot
from tidegate.rollout.steering import Candidate, Outlook, steer

POLICY = Policy(budget_per_s=50.0)

World = Callable[[float], Snapshot]


def interventions(
    world: World, from_s: float, until_s: float, memory: Memory
) -> tuple[int, Memory]:
    """How many labels are closed and streams shed between two moments."""
    now, count = from_s, 0
    while now < until_s:
        decision = plan(world(now), POLICY, now, memory)
        memory = decision.memory
        count += sum(isinstance(a, SetAdmit) and not a.admitted for a in decision.actions)
        count += sum(told.plan is not None for told in plans_of(decision).values())
        now += decision.requeue_after_s
    return count, memory


def joining(now: float, begins_s: float, per_s: float, total: int) -> Snapshot:
    """A fleet that got its third pod at 100 s; the crowd favours the first one by a tenth."""
    came = min(float(total), max(0.0, now - begins_s) * per_s)
    loads = [round(came * share) for share in (0.37, 0.32, 0.31)]
    pods = [pod(uid, n) for uid, n in zip("abc", loads, strict=True)]
    return fleet(*(pods if now >= 100.0 else pods[:2]), replicas=3)


@pytest.mark.parametrize("per_s", [20.0, 250.0, 500.0])
@pytest.mark.parametrize("begins_s", [100.0, 100.5, 101.0, 103.0])
def test_nothing_is_closed_or_moved_while_a_crowd_comes_and_nothing_after_it(
    per_s: float, begins_s: float
) -> None:
    def world(now: float) -> Snapshot:
        return joining(now, begins_s, per_s, 300)

    assert interventions(world, 95.0, 130.0, Memory())[0] == 0


def test_a_fleet_that_is_uneven_beyond_chance_is_evened_out_once_the_crowd_is_over() -> None:
    def world(now: float) -> Snapshot:
        came = min(300.0, max(0.0, now - 101.0) * 100.0)
        return fleet(pod("a", 300), pod("b", 300), pod("c", round(came / 3)), replicas=3)

    during, memory = interventions(world, 100.0, 104.0, Memory())
    after, _ = interventions(world, 104.0, 125.0, memory)
    assert (during, after > 0) == (0, True)


def test_a_round_ends_when_a_crowd_begins() -> None:
    def uneven(now: float) -> Snapshot:
        closed = now > 102.0
        return fleet(pod("a", 200, admitted=not closed), pod("b", 50), pod("c", 50))

    def crowded(now: float) -> Snapshot:
        more = round((now - 110.0) * 100)
        return fleet(pod("a", 200, admitted=False), pod("b", 50 + more), pod("c", 50))

    shed, memory = interventions(uneven, 100.0, 110.0, Memory())
    assert shed > 0
    opened, now = list[SetAdmit](), 110.0
    while now < 112.0:
        decision = plan(crowded(now), POLICY, now, memory)
        opened += [a for a in decision.actions if isinstance(a, SetAdmit)]
        memory, now = decision.memory, now + decision.requeue_after_s
    assert not plans_of(decision)
    assert {*opened} == {SetAdmit("a", True)}


def test_streams_that_change_their_pod_and_pods_heard_for_the_first_time_are_no_crowd() -> None:
    arriving, now, rates = Arriving(), 100.0, []
    for look in range(40):
        gone = 5 * look
        pods = [pod("a", 300 - gone), pod("b", max(0, gone - 5))]
        if look > 20:
            pods.append(pod("c", 80))
        arriving, per_s = follow(arriving, [*pods], 5.0, now)
        rates.append(per_s)
        now += 0.1
    assert max(rates) == 0.0


def test_growth_is_streams_per_second_over_the_window() -> None:
    arriving, per_s = Arriving(), 0.0
    for look in range(31):
        arriving, per_s = follow(arriving, [pod("a", 10 * look)], 0.0, 100.0 + 0.1 * look)
    assert per_s == pytest.approx(100.0, rel=0.1)
    for look in range(31):
        arriving, per_s = follow(arriving, [pod("a", 300)], 0.0, 103.0 + 0.1 * look)
    assert per_s == 0.0
    assert len(arriving.samples) <= 2 + WINDOW_S / 0.25


def test_a_crowd_needs_room_as_ordered_returns_do_and_fits_nowhere_evenly() -> None:
    some = [Candidate(uid, load) for uid, load in (("a", 0.0), ("b", 60.0), ("c", 90.0))]
    usual = Outlook(100.0, 0.0, 20.0, budget_per_s=40.0, horizon_s=2.0, retry_s=0.75)
    assert steer(some, frozenset(), usual).rate_per_s == 40.0
    trickle = steer(some, frozenset(), replace(usual, arriving_per_s=40.0))
    assert trickle.open == {"a"}
    assert trickle.rate_per_s == 40.0
    slowed = steer(some, frozenset(), replace(usual, arriving_per_s=45.0))
    assert slowed.rate_per_s < 40.0
    crowd = steer(some, frozenset(), replace(usual, arriving_per_s=250.0))
    assert crowd.open == {"a", "b", "c"}
    assert crowd.rate_per_s < 40.0
