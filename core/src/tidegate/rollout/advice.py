"""Advice to the owner of a workload: settings that would make its rollouts better.

Advice never changes a plan. A workload that deletes a pod before its replacement is ready moves
some clients twice under any plan; the advice says so before the rollout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.contract.report import DEGRADED_BACKPLANE_FULL
from tidegate.rollout.snapshot import Policy, Workload

UNAVAILABLE_SHARE = 0.25
"""The share of the pods that a rollout may take away at once: Kubernetes' own default."""

STOP_S = 2.0
"""The end of the grace period that no drain may use: the kill follows it."""

GRACE_STEP_S = 10


@dataclass(frozen=True, slots=True)
class Advice:
    """`reason` is one CamelCase word for the Event, `message` names the field and the fix."""

    reason: str
    message: str


def advise(workload: Workload, policy: Policy) -> tuple[Advice, ...]:
    """What should be changed about a workload; empty where nothing is."""
    found = (
        _surge(workload),
        _unavailable(workload),
        _min_ready(workload),
        _grace(workload, policy),
        _backplane(workload),
    )
    return tuple(advice for advice in found if advice is not None)


def _surge(workload: Workload) -> Advice | None:
    if workload.max_surge > 0 or not workload.can_surge:
        return None
    message = (
        "maxSurge is 0, so a pod is deleted before its replacement is there and its streams go to "
        "pods that are deleted later: set strategy.rollingUpdate.maxSurge to 1 or more"
    )
    return Advice("NoSurge", message)


def _unavailable(workload: Workload) -> Advice | None:
    most = max(1, math.floor(UNAVAILABLE_SHARE * workload.replicas))
    if workload.max_unavailable <= most:
        return None
    message = (
        f"maxUnavailable lets {workload.max_unavailable} of {workload.replicas} pods go at once, "
        f"and the rest must hold their streams: set it to {most} or less, best to 0"
    )
    return Advice("ManyUnavailable", message)


def _min_ready(workload: Workload) -> Advice | None:
    if workload.min_ready_s > 0 or workload.max_surge == 0 or workload.replicas < 2:
        return None
    message = (
        "minReadySeconds is 0, so all old pods are deleted as fast as new ones get ready and their "
        "drains queue up: set it to 5 or more"
    )
    return Advice("NoMinReadySeconds", message)


def _grace(workload: Workload, policy: Policy) -> Advice | None:
    """Without minReadySeconds all old pods drain at once, else as many as may be away."""
    if workload.grace_s is None or workload.replicas < 1:
        return None
    streams = sum(p.report.streams for p in workload.pods if p.report is not None)
    once = workload.max_surge + workload.max_unavailable if workload.min_ready_s > 0 else math.inf
    share = min(1.0, max(1, once) / workload.replicas)
    needed_s = share * streams / policy.budget_per_s
    if needed_s <= workload.grace_s - STOP_S:
        return None
    enough_s = GRACE_STEP_S * math.ceil((needed_s + STOP_S) / GRACE_STEP_S)
    message = (
        f"pods have {workload.grace_s:g} s to let go of their streams, and at "
        f"{policy.budget_per_s:g} streams/s that takes longer: set terminationGracePeriodSeconds "
        f"(tidegate.dev/grace-s) to {enough_s} or more, or raise budgetPerSecond"
    )
    return Advice("GraceTooShort", message)


def _backplane(workload: Workload) -> Advice | None:
    """The sidecar's own words: only it knows which store it is and how that is repaired."""
    reports = [p.report for p in workload.pods if p.report is not None]
    full = next((r for r in reports if r.degraded == DEGRADED_BACKPLANE_FULL), None)
    if full is not None:
        return Advice("BackplaneFull", full.problem or "the store has no room for the log")
    problem = next((r.problem for r in reports if r.problem is not None), None)
    return None if problem is None else Advice("BackplaneUnavailable", problem)
