"""A DrainPolicy's status as a document, made of what was watched of its workloads.

Conditions follow KEP-1623: a transition time changes only with the status it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.rollout.advice import Advice
from tidegate.rollout.snapshot import Workload
from tidegate_kubernetes.objects import PolicyObject, Raw
from tidegate_operator.kube.status.rollouts import Watched

MOST_WORKLOADS: Final = 100
MAX_REVISION: Final = 63
MOST_ADVICE: Final = 10


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """One workload with its reports, what was watched of its rollouts, and what to advise.

    `held` is why its drains wait, where they have waited for some seconds.
    """

    workload: Workload
    watched: Watched
    finished_at: str | None = None
    advice: tuple[Advice, ...] = ()
    held: str | None = None


def status_of(
    policy: PolicyObject,
    reports: Sequence[WorkloadReport],
    *,
    invalid: str | None,
    bare: Mapping[str, str],
    steering: bool,
    now: str,
) -> dict[str, Any]:
    """A DrainPolicy's whole status. `invalid` is why its spec cannot be used; `now` RFC 3339."""
    ready = _ready(reports, invalid)
    steered = _steered(reports, steering)
    configured = _configured(reports, bare)
    conditions = [
        condition(policy, "Ready", *ready, now),
        condition(policy, "Steered", *steered, now),
        condition(policy, "WellConfigured", *configured, now),
    ]
    pods = [pod for report in reports for pod in report.workload.pods]
    return {
        "observedGeneration": policy.generation,
        "workloadCount": len(reports),
        "streams": sum(p.report.streams for p in pods if p.report is not None),
        "drainingPods": sum(p.deleting for p in pods),
        "conditions": conditions,
        "workloads": [_workload(report) for report in reports[:MOST_WORKLOADS]],
    }


def matters(status: Mapping[str, Any]) -> object:
    """The part of a status whose change is written at once: of the counts only the pods that drain,
    by which a rollout is watched.
    """
    words = ("type", "status", "reason", "message")
    told = [tuple(c[word] for word in words) for c in status.get("conditions", ())]
    workloads = [
        (w["name"], w.get("lastRollout"), w.get("held")) for w in status.get("workloads", ())
    ]
    return status.get("observedGeneration"), status.get("drainingPods"), told, workloads


def condition(
    policy: PolicyObject, kind: str, status: str, reason: str, message: str, now: str
) -> dict[str, Any]:
    """A condition; its transition time is kept while its status stays the same."""
    before: Raw = next((c for c in policy.conditions if c.get("type") == kind), {})
    same = before.get("status") == status and before.get("lastTransitionTime")
    return {
        "type": kind,
        "status": status,
        "observedGeneration": policy.generation,
        "lastTransitionTime": before["lastTransitionTime"] if same else now,
        "reason": reason,
        "message": message[:32768],
    }


def timestamp(now_s: float) -> str:
    """Unix seconds as the API's Time."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ready(reports: Sequence[WorkloadReport], invalid: str | None) -> tuple[str, str, str]:
    if invalid is not None:
        return "False", "Invalid", f"{invalid}; the default policy is used instead"
    if not reports:
        return "True", "NoWorkload", "no injected pod of this namespace is selected"
    return "True", "Serving", f"serving {len(reports)} workload(s)"


def _steered(reports: Sequence[WorkloadReport], steering: bool) -> tuple[str, str, str]:
    if not steering:
        return "False", "Disabled", "spec.steering is Disabled"
    refused = [r.workload for r in reports if r.workload.refusal is not None]
    if refused:
        texts = "; ".join(f"{w.name}: {w.refusal}" for w in refused[:3])
        return "False", "Refused", texts
    if not reports:
        return "Unknown", "NoWorkload", "nothing to steer"
    return "True", "Steering", f"steering {len(reports)} workload(s)"


def _configured(reports: Sequence[WorkloadReport], bare: Mapping[str, str]) -> tuple[str, str, str]:
    texts = [(r.workload.name, a.message) for r in reports for a in r.advice]
    texts += bare.items()
    if not texts:
        return "True", "NoAdvice", "nothing to change"
    told = "; ".join(f"{name.partition('/')[2]}: {text}" for name, text in texts[:MOST_ADVICE])
    return "False", "Advice", told


def _workload(report: WorkloadReport) -> dict[str, Any]:
    workload, watched = report.workload, report.watched
    shown: dict[str, Any] = {
        "name": workload.name.partition("/")[2],
        "replicas": workload.replicas,
        "readyPods": sum(p.ready for p in workload.pods),
        "openPods": sum(p.open for p in workload.pods),
        "drainingPods": sum(p.deleting for p in workload.pods),
        "streams": watched.streams,
        "revision": workload.revision[:MAX_REVISION],
    }
    if report.advice:
        shown["advice"] = [advice.message for advice in report.advice]
    if report.held is not None:
        shown["held"] = report.held
    if workload.refusal is not None:
        shown["refusal"] = workload.refusal
    if watched.last is not None:
        measured = {k: v for k, v in watched.last.to_json().items() if v is not None}
        shown["lastRollout"] = {"revision": watched.last_revision[:MAX_REVISION], **measured}
        if watched.not_measured is not None:
            shown["lastRollout"]["notMeasured"] = watched.not_measured
        if report.finished_at is not None:
            shown["lastRollout"]["finishedAt"] = report.finished_at
    return shown
