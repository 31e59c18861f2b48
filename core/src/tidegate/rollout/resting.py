"""A workload at rest: every ready pod is open, and an uneven one is evened out in shed rounds."""

from __future__ import annotations

from dataclasses import replace

from tidegate.rollout import rebalance
from tidegate.rollout.fleet import Fleet
from tidegate.rollout.memory import WorkloadMemory
from tidegate.rollout.pacing import Job, Lane
from tidegate.rollout.snapshot import Policy
from tidegate.rollout.steering import Candidate, steer
from tidegate.rollout.view import View, landed, outlook, seen_open


def resting(
    fleet: Fleet, policy: Policy, now: float, memory: WorkloadMemory, *, steered: bool
) -> View:
    """Decide for a workload in which no pod drains; `steered`: whether its labels are ours."""
    if steered and _crowd(fleet, policy):
        return _growing(fleet, memory)
    if not (steered and policy.rebalance and _settled(fleet, memory, now)):
        still = replace(memory, disturbed=memory.disturbed and steered and policy.rebalance)
        return View(fleet, still, frozenset(p.uid for p in fleet.ready))
    if memory.shedding_s is None:
        memory = _consider(fleet, memory, now)
    elif _round_over(fleet, memory, now):
        memory = _close_round(fleet, memory, now)
    if memory.shedding_s is None:
        return View(fleet, memory, frozenset(p.uid for p in fleet.ready))
    return _shedding(fleet, policy, now, memory)


def _crowd(fleet: Fleet, policy: Policy) -> bool:
    """Whether more streams arrive unordered, while a decision binds, than a pod may be off by."""
    coming = fleet.arriving_per_s * outlook(fleet, policy, 0.0).horizon_s
    return coming > rebalance.band(fleet.target, disturbed=True)


def _growing(fleet: Fleet, memory: WorkloadMemory) -> View:
    """A crowd arrives: every pod is open and nothing is moved.

    Opening only the emptier pods was tried: a crowd of 250 a second is over before a label change
    shows, and fills them up to 1.95 of N/k where an even choice fills none beyond 1.15. A round
    that runs ends, and what the crowd leaves is judged as placed by chance.
    """
    memory = replace(memory, crowded=True, shedding_s=None, resting_since_s=None)
    return View(fleet, memory, frozenset(p.uid for p in fleet.ready))


def _settled(fleet: Fleet, memory: WorkloadMemory, now: float) -> bool:
    """Whether the reports show a fleet at rest: complete, nothing in the air, long enough.

    A pod whose counts have not changed sends no report, so an old report is as good as a fresh
    one once a change would have been reported.
    """
    if memory.shedding_s is not None:
        return len(fleet.new) >= fleet.workload.replicas
    since = memory.resting_since_s
    if since is None or now - since < rebalance.SETTLE_S or fleet.loads.in_air > 0.0:
        return False
    known = all(p.report is not None for p in fleet.new)
    return known and len(fleet.new) >= max(2, fleet.workload.replicas)


def _loads_of_new(fleet: Fleet) -> dict[str, float]:
    return {p.uid: fleet.load(p) for p in fleet.new}


def _given(fleet: Fleet) -> dict[str, float]:
    in_place = fleet.workload.in_place
    return rebalance.donors(
        _loads_of_new(fleet), fleet.target, fleet.loads.in_air, in_place=in_place
    )


def _consider(fleet: Fleet, memory: WorkloadMemory, now: float) -> WorkloadMemory:
    """Start a round, settle, or have a closer look at a fleet that chance cannot explain."""
    off = rebalance.excess([*_loads_of_new(fleet).values()], fleet.target)
    in_place = fleet.workload.in_place
    tight = memory.disturbed and not memory.crowded
    uneven = off > rebalance.band(fleet.target, disturbed=tight, in_place=in_place)
    if not uneven or memory.shed_rounds >= rebalance.MAX_ROUNDS:
        return replace(memory, disturbed=False, crowded=False)
    if not memory.disturbed:
        return replace(memory, disturbed=True, crowded=True, resting_since_s=now)
    # What the round moves is no longer placed by chance.
    return replace(memory, shedding_s=now, shed_excess=off, doomed_open_s=now, crowded=False)


def _round_over(fleet: Fleet, memory: WorkloadMemory, now: float) -> bool:
    assert memory.shedding_s is not None
    late = now - memory.shedding_s > rebalance.ROUND_S
    given = _given(fleet)
    return late or (not given and fleet.loads.in_air < 1.0)


def _close_round(fleet: Fleet, memory: WorkloadMemory, now: float) -> WorkloadMemory:
    off = rebalance.excess([*_loads_of_new(fleet).values()], fleet.target)
    improved = memory.shed_excess is None or off < rebalance.IMPROVED * memory.shed_excess
    rounds = 0 if improved else memory.shed_rounds + 1
    return replace(memory, shedding_s=None, resting_since_s=now, shed_rounds=rounds)


def _shedding(fleet: Fleet, policy: Policy, now: float, memory: WorkloadMemory) -> View:
    loads = _loads_of_new(fleet)
    given = _given(fleet)
    below = rebalance.receivers(loads, fleet.target) or [*loads]
    donors_open = any(p.admitted for p in fleet.new if p.uid in given)
    memory = seen_open(memory, now, doomed_open=donors_open)
    steering = steer(
        [Candidate(uid, loads[uid]) for uid in below],
        frozenset(p.uid for p in fleet.new if p.admitted and p.uid in below),
        outlook(fleet, policy, sum(given.values())),
    )
    jobs = tuple(Job(uid, n, None, kind_shed=True) for uid, n in sorted(given.items()))
    rate = min(steering.rate_per_s, rebalance.RATE_SHARE * policy.budget_per_s)
    lane = Lane(fleet.workload.name, jobs, rate, None, ready=landed(fleet, memory, policy, now))
    return View(fleet, memory, steering.open, lane)
