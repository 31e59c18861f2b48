"""Advice to the owner of a workload: settings that would make its rollouts better.

Advice never changes a plan. A workload that deletes a pod before its replacement is ready moves
some clients twice under any plan; the advice says so before the rollout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.contract.drain_settings import DrainSettings
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


@dataclass(frozen=True, slots=True)
class GraceNeed:
    """The streams of the pods that a rollout deletes together, and how many of them can be let go
    within their grace period at the budget.
    """

    leaving: int
    fitting: int


def grace_need(workload: Workload, policy: Policy) -> GraceNeed | None:
    """What the next rollout asks of the grace period, from the pods' reports; ``None`` without one.

    Without minReadySeconds all old pods drain at once, else the fullest ones of as many as may be
    away. The end of the grace period is the sidecar's reserve, and the policy may shorten the rest.
    """
    grace_s = workload.grace_s
    if grace_s is None or workload.replicas < 1:
        return None
    once = max(1, workload.max_surge + workload.max_unavailable) if workload.min_ready_s else None
    held = sorted((p.report.streams for p in workload.pods if p.report is not None), reverse=True)
    window_s = grace_s - max(STOP_S, _reserve_s(grace_s, policy))
    if policy.window_s is not None:
        window_s = min(window_s, policy.window_s)
    fitting = math.floor(max(0.0, window_s) * policy.budget_per_s)
    return GraceNeed(sum(held[:once]), fitting)


def _reserve_s(grace_s: float, policy: Policy) -> float:
    if policy.reserve_s is None:
        return DrainSettings.usual_reserve_s(grace_s)
    return min(policy.reserve_s, grace_s / 2)


def _grace(workload: Workload, policy: Policy) -> Advice | None:
    need = grace_need(workload, policy)
    if need is None or workload.grace_s is None or need.leaving <= need.fitting:
        return None
    needed_s = need.leaving / policy.budget_per_s
    enough_s = needed_s + max(STOP_S, _reserve_s(2 * needed_s + STOP_S, policy))
    steps_s = GRACE_STEP_S * math.ceil(enough_s / GRACE_STEP_S)
    message = (
        f"of about {_rounded(need.leaving)} streams that a rollout lets go together, "
        f"{need.fitting} fit into the grace period of {workload.grace_s:g} s at "
        f"{policy.budget_per_s:g} streams/s, and the rest would exceed the budget: set "
        f"terminationGracePeriodSeconds (tidegate.dev/grace-s) to {steps_s} or more, or raise "
        "budgetPerSecond"
    )
    if policy.window_s is not None:
        message += " (windowSeconds bounds it, too)"
    return Advice("GraceTooShort", message)


def _rounded(streams: int) -> int:
    """To two digits: an advice that changed with every stream would be written all the time."""
    return round(streams, 2 - len(str(streams)))


def _backplane(workload: Workload) -> Advice | None:
    """The sidecar's own words: only it knows which store it is and how that is repaired."""
    reports = [p.report for p in workload.pods if p.report is not None]
    full = next((r for r in reports if r.degraded == DEGRADED_BACKPLANE_FULL), None)
    if full is not None:
        return Advice("BackplaneFull", full.problem or "the store has no room for the log")
    problem = next((r.problem for r in reports if r.problem is not None), None)
    return None if problem is None else Advice("BackplaneUnavailable", problem)
