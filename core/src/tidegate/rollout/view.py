"""One workload's part of a decision, and the guards that rollouts and shed rounds share."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tidegate.rollout.fleet import Fleet
from tidegate.rollout.memory import WorkloadMemory
from tidegate.rollout.pacing import Lane
from tidegate.rollout.snapshot import Policy
from tidegate.rollout.steering import MEAN_LAG_SHARE, Outlook, horizon_s


@dataclass(frozen=True, slots=True)
class View:
    """One workload, before the drains share the budget: which pods are to be open, and which let
    go. `held` is why drains wait, ``None`` where none does.
    """

    fleet: Fleet
    memory: WorkloadMemory
    want: frozenset[str]
    lane: Lane | None = None
    held: str | None = None


def outlook(
    fleet: Fleet,
    policy: Policy,
    left: float | None,
    since_flip_s: float = math.inf,
    *,
    last: bool = False,
) -> Outlook:
    """What is about to arrive on the new pods, with `left` streams still to be let go now.

    ``None``: no pod lets any go, but one may begin to, so there must be room for a full drain.
    `since_flip_s`: how long ago the labels changed. `last`: these are the last drains.
    """
    flip_in_s = max(0.0, policy.flip_interval_s - since_flip_s)
    return Outlook(
        target=fleet.target,
        in_air=fleet.loads.in_air,
        left=left,
        budget_per_s=policy.budget_per_s,
        horizon_s=horizon_s(policy.flip_interval_s, policy.flip_lag_s),
        retry_s=policy.retry_ms / 1000,
        arriving_per_s=fleet.arriving_per_s,
        lands_in_s=flip_in_s + MEAN_LAG_SHARE * policy.flip_lag_s,
        last=last,
    )


def seen_open(memory: WorkloadMemory, now: float, *, doomed_open: bool) -> WorkloadMemory:
    """Remember when a pod that is to be emptied was last seen open."""
    return replace(memory, doomed_open_s=now) if doomed_open else memory


def landed(fleet: Fleet, memory: WorkloadMemory, policy: Policy, now: float) -> bool:
    """Whether every router has dropped the pods that go: none was open within the longest lag.

    A pod deleted while it was open left the endpoints when its drain began. A new leader has never
    seen such a pod open and takes the labels for landed: otherwise it could wait for ever.
    """
    seen_s = memory.doomed_open_s
    closed = seen_s is None or now - seen_s >= policy.flip_lag_s
    left = all(
        not p.admitted
        or p.report is None
        or (p.report.drain_started_s or 0.0) + p.report_age_s >= policy.flip_lag_s
        for p in fleet.going
    )
    return closed and left and any(p.open for p in fleet.new)
