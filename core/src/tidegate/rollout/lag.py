"""How long routers go on sending new streams to a pod that was closed: measured, not assumed.

The policy states how late a label change may land, and steering relies on it. A proxy that keeps an
endpoint list of its own may take far longer, and then a closed pod fills while an open one that
should fill does not. Once more streams than a pod's share would go astray within that time
(lag × rate > N/k), steering does harm, and it is refused once the rollout is over.

What two reports of a closed pod prove is a bound: the streams that the later one counts came after
the earlier one was made, so they were late by at least that much. Nothing is known of when within
the interval they came: a pod or an operator that was cut off for twenty seconds reports all
arrivals at once. One late change proves little as well: an endpoint controller that restarts is
late once. So several changes must have been late, their median counts, and a refusal lasts minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low

from tidegate.contract.report import ROLLING_REPORT_S
from tidegate.rollout.snapshot import Pod, Policy

WATCHED_S = 30.0
"""How long a closed pod is watched; later arrivals are not due to a stale endpoint."""

LEAST_STREAMS = 5
LEAST_SHARE = 0.1
"""Fewer late arrivals than this share of N/k are strays (a port-forward, an address by hand)."""

LATE_CHANGES = 3
"""How many label changes must have been late before the routers are judged."""

REMEMBERED_S = 600.0
"""How long a late change counts."""

REFUSED_FOR_S = 120.0
MOST_REFUSED_FOR_S = 600.0
"""The first refusal, and what it grows to when each new try shows the same."""

_SAME_REPORT_S = 1e-6


@dataclass(frozen=True, slots=True)
class Closing:
    """A pod that was closed: when, and what its reports have shown since.

    `arrived_total` was reported at `reported_s`; `late` streams came at least `lag_s` too late.
    """

    closed_s: float
    arrived_total: int
    reported_s: float
    late: int = 0
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """What is known of the routers of one workload; times are the planner's `now`.

    `late` holds, per late label change, when it was made and by how much it was late at least.
    `refusal` is the reason to refuse steering until `until_s`, and `refused_for_s` how long that
    is.
    """

    closings: Mapping[str, Closing] = field(default_factory=dict)
    late: Mapping[float, float] = field(default_factory=dict)
    refusal: str | None = None
    until_s: float = 0.0
    refused_for_s: float = 0.0


def observe(lag: Lag, pods: Sequence[Pod], target: float, policy: Policy, now: float) -> Lag:
    """What one more look shows; `target` is N/k."""
    closings: dict[str, Closing] = {}
    late = {made_s: lag_s for made_s, lag_s in lag.late.items() if now - made_s <= REMEMBERED_S}
    for pod in pods:
        if pod.admitted or pod.deleting or pod.report is None:
            continue
        first = Closing(now, pod.report.arrived_total, now - pod.report_age_s)
        closing = _followed(lag.closings.get(pod.uid, first), pod, policy, now)
        closings[pod.uid] = closing
        if closing.late >= max(LEAST_STREAMS, LEAST_SHARE * target):
            # Pods that were closed by one change share its moment.
            late[closing.closed_s] = max(late.get(closing.closed_s, 0.0), closing.lag_s)
    return replace(lag, closings=closings, late=late)


def _followed(closing: Closing, pod: Pod, policy: Policy, now: float) -> Closing:
    """The closing with one more report; arrivals that may have been in time prove nothing."""
    assert pod.report is not None
    arrived = pod.report.arrived_total
    came = arrived - closing.arrived_total
    if came == 0 and pod.report_age_s > now - closing.reported_s - _SAME_REPORT_S:
        return closing
    least_s = closing.reported_s - closing.closed_s
    seen = replace(closing, arrived_total=arrived, reported_s=now - pod.report_age_s)
    if came > 0 and policy.flip_lag_s + ROLLING_REPORT_S < least_s <= WATCHED_S:
        return replace(seen, late=closing.late + came, lag_s=least_s)
    return seen


def judge(lag: Lag, target: float, policy: Policy, now: float, *, rolling: bool) -> Lag:
    """Refuse, go on refusing, or try again. In mid-rollout nothing changes: reopening the old pods
    would move more clients than the lag does.
    """
    if lag.refusal is not None:
        return lag if now < lag.until_s else replace(lag, refusal=None)
    if rolling or len(lag.late) < LATE_CHANGES:
        return lag
    measured_s = median_low(lag.late.values())
    if measured_s * policy.budget_per_s <= target:
        return replace(lag, late={})
    again = now - lag.until_s <= REMEMBERED_S
    refused_for_s = min(MOST_REFUSED_FOR_S, 2 * lag.refused_for_s) if again else 0.0
    refused_for_s = max(REFUSED_FOR_S, refused_for_s)
    reason = (
        f"after {len(lag.late)} label changes new streams still came to closed pods "
        f"{measured_s:.1f} s later, and at {policy.budget_per_s:g} streams/s that is more than a "
        f"pod's share of {target:.0f}: endpoints reach the routers late. Either the endpoint "
        "controller or kube-proxy is behind, or clients come through a proxy that keeps its own "
        "list of pods; let them reach the Service's ClusterIP, or set budgetPerSecond below "
        f"{target / measured_s:.1f}. Steering is tried again in {refused_for_s:.0f} s"
    )
    return Lag(refusal=reason, until_s=now + refused_for_s, refused_for_s=refused_for_s)
