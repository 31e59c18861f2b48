"""A workload in motion: a rollout, a scale-in, a node drain, a paused rollout, a canary."""

from __future__ import annotations

import math
from dataclasses import replace

from tidegate.rollout import holding
from tidegate.rollout.fleet import Fleet, left_s
from tidegate.rollout.memory import WorkloadMemory
from tidegate.rollout.pacing import Job, Lane
from tidegate.rollout.snapshot import Policy
from tidegate.rollout.steering import Candidate, steer
from tidegate.rollout.view import View, landed, outlook, seen_open

STALLED_AFTER_S = 10.0
"""A rollout in which no pod drains or starts for this long is paused, or a canary."""


def rolling(
    fleet: Fleet, policy: Policy, now: float, memory: WorkloadMemory, *, steered: bool
) -> View:
    """Decide for a workload in which pods drain; `steered`: whether its labels are ours."""
    leaving = fleet.leaving()
    memory = memory.with_deadlines(now, {p.uid: left_s(p) for p, _ in leaving})
    due_s = memory.deadlines_s
    jobs = tuple(Job(p.uid, n, left_s(p), due_s.get(p.uid, math.inf)) for p, n in leaving)
    everyone = frozenset(p.uid for p in fleet.ready)
    rate, name = policy.budget_per_s, fleet.workload.name
    lane = Lane(name, jobs, rate, None, ready=True, landed=False)
    if fleet.workload.in_place and not fleet.ready:
        return View(fleet, memory, everyone, replace(lane, at_once=True))
    if not steered or not fleet.new:
        held = holding.NO_NEW_POD if _waits_for_a_pod(fleet, steered=steered) else None
        return View(fleet, memory, everyone, replace(lane, ready=held is None), held)
    if _serves_on(fleet, memory, now):
        return View(fleet, memory, _stalled(fleet), lane)
    memory = seen_open(memory, now, doomed_open=any(p.open for p in fleet.old))
    steering = steer(
        [Candidate(p.uid, fleet.load(p)) for p in fleet.new],
        frozenset(p.uid for p in fleet.new if p.admitted),
        outlook(
            fleet,
            policy,
            sum(j.streams for j in jobs) or None,
            now - memory.flipped_s,
            last=not fleet.more_to_come,
        ),
    )
    accepted = sum(
        p.report.rate_limit_per_s for p in fleet.new if p.report and p.uid in steering.open
    )
    opened = steering.open | _guard(fleet, steering.open)
    spare = any(p.open for p in fleet.new if p.uid in opened - steering.open)
    memory = seen_open(memory, now, doomed_open=spare)
    ready = landed(fleet, memory, policy, now)
    if not fleet.successors_overlap:
        # Waiting and going slowly would only delay the room that they are for.
        lane = replace(lane, rate_per_s=accepted or rate, landed=ready)
        return View(fleet, memory, opened, lane)
    rate = min(steering.rate_per_s, accepted) if accepted > 0 else steering.rate_per_s
    credit = _credit(fleet)
    lane = replace(lane, rate_per_s=rate, credit=credit, ready=ready, landed=ready)
    full = holding.NO_ROOM if credit is not None and credit < 1.0 else None
    return View(fleet, memory, opened, lane, full if ready else holding.ROUTERS)


def _guard(fleet: Fleet, opened: frozenset[str]) -> frozenset[str]:
    """One available pod more where no open one is available and nothing arrives by order.

    A rollout that is restarted first deletes the pods that are not available yet, all at once
    (``cleanupUnhealthyReplicas`` of the Deployment controller). Were only such pods open, the
    Service would have no endpoint until the labels of others had changed.
    """
    available = [p for p in fleet.ready if p.available]
    if fleet.leaving() or not available or any(p.uid in opened for p in available):
        return frozenset()
    by_load = sorted(available, key=lambda p: (p in fleet.old, fleet.load(p), p.uid))
    return frozenset({by_load[0].uid})


def _waits_for_a_pod(fleet: Fleet, *, steered: bool) -> bool:
    """Whether drains wait while no desired pod is ready, or while the labels are not ours.

    Desired pods without a sidecar take streams unseen. Where no successor can be ready before the
    pod is gone, its clients go to the pods that there are.
    """
    if not fleet.workload.injected or (not steered and fleet.ready):
        return False
    return fleet.successors_overlap


def has_stalled(memory: WorkloadMemory, now: float) -> bool:
    """Whether no pod has drained or started for so long that the rollout must be waiting."""
    since_s = memory.stalled_since_s
    return since_s is not None and now - since_s >= STALLED_AFTER_S


def _serves_on(fleet: Fleet, memory: WorkloadMemory, now: float) -> bool:
    """Whether the old pods are to take streams, too: the rollout does not go on.

    A paused rollout is steered while its new pods have room: a client that lands on one need not
    move again. Once they have their share, later drains (an old pod evicted hours later) go to the
    old pods.
    """
    full = fleet.workload.paused and bool(fleet.old) and _room(fleet) < 1.0
    return full or has_stalled(memory, now)


def _stalled(fleet: Fleet) -> frozenset[str]:
    """Paused, or a canary: the old pods serve on, and a new pod gets its share, never more."""
    below = (p.uid for p in fleet.new if fleet.load(p) < fleet.target)
    return frozenset((*(p.uid for p in fleet.old if p.ready), *below)) or frozenset(
        p.uid for p in fleet.ready
    )


def _credit(fleet: Fleet) -> float | None:
    """Streams that fit below the target now; unlimited once every new pod is there.

    Draining only into free room while pods are still to come keeps a hot pod that leaves first
    from flooding the few new ones.
    """
    if not fleet.more_to_come:
        return None
    return _room(fleet)


def _room(fleet: Fleet) -> float:
    """Streams that fit below the target on the new pods, beside those in the air."""
    room = sum(max(0.0, fleet.target - fleet.load(p)) for p in fleet.new)
    return max(0.0, room - fleet.loads.in_air)
