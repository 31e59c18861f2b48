"""How long routers go on sending new streams to a pod that was closed: measured, not assumed.

The policy states how late a label change may land, and steering relies on it. A proxy that keeps an
endpoint list of its own may take far longer, and then a closed pod fills while an open one that
should fill does not. The measure is the last arrival on a closed pod. Once more streams than a
pod's share would go astray within it (lag × rate > N/k), steering does harm: it is refused from the
end of the rollout on, for an hour, after which it is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidegate.contract.report import ROLLING_REPORT_S
from tidegate.rollout.snapshot import Pod, Policy

WATCHED_S = 30.0
"""How long a closed pod is watched; later arrivals are not due to a stale endpoint."""

LEAST_STREAMS = 5
LEAST_SHARE = 0.1
"""Fewer late arrivals than this share of N/k are strays (a port-forward, an address by hand)."""

REFUSED_FOR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Closing:
    """A pod that was closed: when, its arrivals then, how many came too late, and the last one."""

    closed_s: float
    arrived_total: int
    late: int = 0
    last_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """What is known of the routers of one workload; times are the planner's `now`.

    `measured_s` is the longest lag seen since the last refusal, `refusal` the reason to refuse
    steering until `until_s`.
    """

    closings: Mapping[str, Closing] = field(default_factory=dict)
    measured_s: float | None = None
    refusal: str | None = None
    until_s: float = 0.0


def observe(lag: Lag, pods: Sequence[Pod], target: float, policy: Policy, now: float) -> Lag:
    """What one more look shows; `target` is N/k."""
    closings: dict[str, Closing] = {}
    measured_s = lag.measured_s
    for pod in pods:
        if pod.admitted or pod.deleting or pod.report is None:
            continue
        first = Closing(now, pod.report.arrived_total)
        closing = _followed(lag.closings.get(pod.uid, first), pod, policy, now)
        closings[pod.uid] = closing
        if closing.late >= max(LEAST_STREAMS, LEAST_SHARE * target):
            measured_s = max(measured_s or 0.0, closing.last_s - closing.closed_s)
    return replace(lag, closings=closings, measured_s=measured_s)


def _followed(closing: Closing, pod: Pod, policy: Policy, now: float) -> Closing:
    """A report that was made before the closing, or within the expected lag, proves nothing."""
    assert pod.report is not None
    arrived = pod.report.arrived_total
    at_s = now - pod.report_age_s
    since_s = at_s - closing.closed_s
    came = arrived - closing.arrived_total
    if came > 0 and policy.flip_lag_s + ROLLING_REPORT_S < since_s <= WATCHED_S:
        return Closing(closing.closed_s, arrived, closing.late + came, at_s)
    return replace(closing, arrived_total=arrived)


def judge(lag: Lag, target: float, policy: Policy, now: float, *, rolling: bool) -> Lag:
    """Refuse, go on refusing, or try again. In mid-rollout nothing changes: reopening the old pods
    would move more clients than the lag does.
    """
    if lag.refusal is not None and now >= lag.until_s:
        return replace(lag, refusal=None)
    if rolling or lag.refusal is not None or lag.measured_s is None:
        return lag
    astray = lag.measured_s * policy.budget_per_s
    if astray <= target:
        return replace(lag, measured_s=None)
    reason = (
        f"new streams still came {lag.measured_s:.1f} s after a pod was closed, and at "
        f"{policy.budget_per_s:g} streams/s that is more than a pod's share of {target:.0f}: let "
        "clients reach the Service's ClusterIP without a proxy that keeps its own list of pods, or "
        f"set budgetPerSecond below {target / lag.measured_s:.1f}"
    )
    return Lag(refusal=reason, until_s=now + REFUSED_FOR_S)
