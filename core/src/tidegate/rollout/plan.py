"""plan(snapshot, policy, now, memory) -> Decision: one look at the fleet.

For every fleet (a workload, or several behind one Service: `joining`): infer the loads, sort the
pods by role, decide which pods are open and how fast others may drain (`steering`), or whether a
fleet at rest must be evened out (`rebalance`). Then all drains share one budget (`pacing`). Nothing
here depends on what happened, only on what is; the memory makes the figures sharper and may be
dropped at any look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tidegate.contract.report import RESTING_REPORT_S, ROLLING_REPORT_S
from tidegate.rollout import arriving, lag, pacing, unheard, writing
from tidegate.rollout.fleet import Fleet, living, sort_out
from tidegate.rollout.joining import joined
from tidegate.rollout.memory import HEARD_WITHIN_S, Memory, WorkloadMemory, infer_loads, since
from tidegate.rollout.resting import resting
from tidegate.rollout.rolling import STALLED_AFTER_S, has_stalled, rolling
from tidegate.rollout.snapshot import Action, Policy, SetPlan, Snapshot, Workload
from tidegate.rollout.view import View

MOVING_REQUEUE_S = 0.1
RESTING_REQUEUE_S = 5.0

RECENT_S = 600.0
"""A fleet that is first seen with a pod younger than this may have been left in the middle of a
rollout, so it is evened out like one that was just rolled."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now and when to look again.

    A pod without a `SetPlan` has no plan. `report_every_s`: how soon the sidecars should report
    changed counts. `requeue_after_s`: the next reconcile is due by then.
    """

    actions: tuple[Action, ...]
    requeue_after_s: float
    memory: Memory
    report_every_s: float = RESTING_REPORT_S


def plan(snapshot: Snapshot, policy: Policy, now: float, memory: Memory) -> Decision:
    """Decide for all workloads of one policy; `now` is monotonic seconds.

    Same input, same output; `memory` is the last decision's, or an empty one.
    """
    views = [
        _view(w, policy, now, memory.workloads.get(w.name, WorkloadMemory()))
        for w in joined([living(w) for w in snapshot.workloads])
    ]
    lanes = [v.lane for v in views if v.lane is not None]
    paced = pacing.pace(lanes, policy.budget_per_s, policy.retry_ms, now)
    written = [writing.write(view, policy, now, paced) for view in views]
    moving = any(_is_moving(view, now) for view in views)
    plans = (SetPlan(uid, p) for uid, p in sorted(paced.plans.items()))
    return Decision(
        actions=(*(action for actions, _ in written for action in actions), *plans),
        requeue_after_s=MOVING_REQUEUE_S if moving else RESTING_REQUEUE_S,
        memory=Memory(
            {
                view.fleet.workload.name: remembered.with_segments(
                    now, paced.segments.get(view.fleet.workload.name, ())
                )
                for view, (_, remembered) in zip(views, written, strict=True)
            }
        ),
        report_every_s=ROLLING_REPORT_S if moving else RESTING_REPORT_S,
    )


def _is_moving(view: View, now: float) -> bool:
    """Whether to look often. A rollout that waits or is broken, for hours perhaps, costs no more
    than a fleet at rest: a pod that gets ready is an event, and events are looked at at once.
    """
    stirred = view.memory.disturbed or view.fleet.rolling
    in_motion = view.fleet.loads.in_air > 0.0 or view.want != view.fleet.open
    since_s = view.memory.still_since_s
    still = since_s is not None and now - since_s >= STALLED_AFTER_S
    return in_motion or (stirred and not (still or has_stalled(view.memory, now)))


def _view(workload: Workload, policy: Policy, now: float, memory: WorkloadMemory) -> View:
    loads, memory = infer_loads(workload.pods, memory, now, policy.retry_ms / 1000)
    silence = memory.silence.seen(workload.pods, now)
    if silence is not memory.silence:
        memory = replace(memory, silence=silence)
    assumed = unheard.assumed(loads, workload, memory, now)
    fleet, memory = _with_arrivals(sort_out(workload, assumed), policy, now, memory)
    memory = _noticed(fleet, memory, now)
    memory = _measured(fleet, policy, now, memory)
    steered = policy.steering and workload.steerable and memory.lag.refusal is None
    steered = steered and not unheard.blind(workload)
    decide = rolling if fleet.rolling else resting
    return unheard.kept(decide(fleet, policy, now, memory, steered=steered), now)


def _with_arrivals(
    fleet: Fleet, policy: Policy, now: float, memory: WorkloadMemory
) -> tuple[Fleet, WorkloadMemory]:
    """The fleet with the streams that arrive unordered; reports are late by `HEARD_WITHIN_S`."""
    sent_off = memory.ended_between(now - policy.retry_ms / 1000 - HEARD_WITHIN_S, now)
    seen, per_s = arriving.follow(memory.arriving, fleet.workload.pods, sent_off, now)
    return replace(fleet, arriving_per_s=per_s), replace(memory, arriving=seen)


def _measured(fleet: Fleet, policy: Policy, now: float, memory: WorkloadMemory) -> WorkloadMemory:
    """The memory with what this look shows of the routers' lag.

    While steering was refused nothing was evened out, so a fleet that is steered again counts as
    disturbed.
    """
    seen = lag.observe(memory.lag, fleet.workload.pods, fleet.target, policy, now)
    judged = lag.judge(seen, fleet.target, policy, now, rolling=fleet.rolling)
    if memory.lag.refusal is None or judged.refusal is not None:
        return replace(memory, lag=judged)
    return replace(memory, lag=judged, disturbed=True, shed_rounds=0)


def refusals(memory: Memory) -> Mapping[str, str]:
    """Workloads that are not steered because of a measured lag, and why."""
    found = ((name, kept.lag.refusal) for name, kept in memory.workloads.items())
    return {name: reason for name, reason in found if reason is not None}


def holds(memory: Memory, now: float) -> Mapping[str, str]:
    """Workloads whose drains are held for long enough to be shown, and why."""
    found = ((name, kept.hold.shown(now)) for name, kept in memory.workloads.items())
    return {name: reason for name, reason in found if reason is not None}


def _noticed(fleet: Fleet, memory: WorkloadMemory, now: float) -> WorkloadMemory:
    """The memory with what this look shows of disturbance, stall and rest."""
    uids = frozenset(p.uid for p in fleet.workload.pods)
    up = frozenset(p.uid for p in fleet.workload.pods if p.ready and p.available)
    still = (uids, up) == (memory.uids, memory.up) and not fleet.leaving()
    changed = bool(memory.uids) and uids != memory.uids
    taken_over = not memory.uids and any(p.age_s < RECENT_S for p in fleet.new)
    stirred = fleet.rolling or changed or taken_over
    at_rest = not stirred and not fleet.starting
    stalled = fleet.rolling and not fleet.progressing()
    crowded = memory.crowded and memory.disturbed and not fleet.rolling
    return replace(
        memory,
        uids=uids,
        up=up,
        still_since_s=since(memory.still_since_s, now, holds=still),
        crowded=crowded,
        disturbed=memory.disturbed or stirred,
        shed_rounds=0 if stirred else memory.shed_rounds,
        shedding_s=None if stirred else memory.shedding_s,
        stalled_since_s=since(memory.stalled_since_s, now, holds=stalled),
        resting_since_s=since(memory.resting_since_s, now, holds=at_rest),
    )


def plans_of(decision: Decision) -> Mapping[str, SetPlan]:
    """The plans of a decision per pod uid."""
    return {a.uid: a for a in decision.actions if isinstance(a, SetPlan)}
