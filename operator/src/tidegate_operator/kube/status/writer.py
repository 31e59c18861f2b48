"""The status of DrainPolicies: conditions, counts, and what each workload's last rollout did.

Conditions follow KEP-1623: a transition time changes only with the status it belongs to. A status
is written when something a person would act on has changed, counts alone only now and then, so
that a busy fleet does not turn into API load.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.contract.errors import ClusterError
from tidegate.rollout.advice import Advice, advise, grace_need
from tidegate.rollout.snapshot import Pod, Workload
from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_kubernetes.kinds import POLICIES
from tidegate_kubernetes.objects import PolicyObject, Raw
from tidegate_operator.bulkhead import Bulkhead
from tidegate_operator.kube.cluster import KubernetesCluster
from tidegate_operator.kube.status import rollouts
from tidegate_operator.kube.status.rollouts import Watched
from tidegate_operator.meters import Meters
from tidegate_operator.reports import ReportBook

ROLLING_LOOK_S: Final = 0.25
RESTING_REQUEUE_S: Final = 2.0
COUNTS_EVERY_S: Final = 10.0
MOST_WORKLOADS: Final = 100
MAX_REVISION: Final = 63
MOST_ADVICE: Final = 10
SIDECAR_MISSING: Final = "SidecarMissing"
NOT_READ: Final = "NotRead"
NOT_READ_MESSAGE: Final = (
    "the objects of this workload could not be read, so it is not steered and its pods drain by "
    "their own plans; the operator's log has the reason"
)
NOT_FOUND: Final = 404
log = logging.getLogger("tidegate.status")


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


class StatusWriter:
    """Watches rollouts and writes statuses. `now` gives Unix seconds.

    `refusals` are workloads that the planner refuses to steer, and why; `holds` those whose drains
    wait, and why.
    """

    def __init__(
        self,
        api: KubeApi,
        cluster: KubernetesCluster,
        book: ReportBook,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        refusals: Callable[[], Mapping[str, str]] = dict,
        holds: Callable[[], Mapping[str, str]] = dict,
        *,
        meters: Meters,
    ) -> None:
        self._bulkhead = Bulkhead(clock, meters.failures)
        self._meters = meters
        self._refusals = refusals
        self._holds = holds
        self._api = api
        self._cluster = cluster
        self._book = book
        self._now = now
        self._clock = clock
        self._watched: dict[str, WorkloadReport] = {}
        self._advised: set[tuple[str, str]] = set()
        self._written: dict[str, tuple[dict[str, Any], float]] = {}
        self._nudged = asyncio.Event()

    async def run(self) -> None:
        """Look and write for ever; what cannot be written is tried again."""
        while True:
            self._nudged.clear()
            rolling = self.observe()
            await self.advise()
            await self.write()
            await asyncio.sleep(ROLLING_LOOK_S)
            if rolling:
                continue
            # A rollout is counted from its first moment on.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESTING_REQUEUE_S):
                    await self._nudged.wait()

    def nudge(self) -> None:
        """Something has changed: look again soon."""
        self._nudged.set()

    def observe(self) -> bool:
        """Watch every workload once; returns whether any of them rolls."""
        found: dict[str, WorkloadReport] = {}
        refusals, holds = self._refusals(), self._holds()
        for scope in self._cluster.snapshots():
            for workload in scope.snapshot.workloads:
                with self._bulkhead.holds("status", workload.name):
                    refusal = workload.refusal or refusals.get(workload.name)
                    seen = replace(self._with_reports(workload), refusal=refusal)
                    found[workload.name] = replace(
                        self._looked(seen),
                        advice=advise(seen, scope.policy),
                        held=holds.get(workload.name),
                    )
        self._watched = found
        self._measure_grace()
        return any(r.watched.running is not None for r in found.values())

    def _measure_grace(self) -> None:
        """Export what the next rollouts ask of the grace periods."""
        leaving, fitting = self._meters.streams_leaving, self._meters.streams_fitting
        leaving.clear()
        fitting.clear()
        for scope in self._cluster.snapshots():
            for known in scope.snapshot.workloads:
                seen = self._watched.get(known.name)
                need = grace_need(seen.workload, scope.policy) if seen is not None else None
                if need is not None:
                    leaving.labels(workload=known.name).set(need.leaving)
                    fitting.labels(workload=known.name).set(need.fitting)

    async def advise(self) -> None:
        """Advise each workload's owner: one Event per workload and reason."""
        found = {
            (name, advice.reason): advice.message
            for name, report in self._watched.items()
            for advice in report.advice
        }
        for bare in self._cluster.world.bare.values():
            found |= {(name, SIDECAR_MISSING): why for name, why in bare.items()}
        for name in self._cluster.world.failed:
            found[name, NOT_READ] = NOT_READ_MESSAGE
        there = self._cluster.world.keys
        self._advised = {told for told in self._advised if told[0] in there}
        for (name, reason), message in found.items():
            if (name, reason) in self._advised:
                continue
            try:
                await self._cluster.event(name, reason, message, True)
            except ClusterError as error:
                log.warning("advice for %s: %s", name, error)
                continue
            self._advised.add((name, reason))

    async def write(self) -> None:
        """Write every policy's status that has changed enough."""
        uids = {policy.meta.uid for policy in self._cluster.policies}
        self._written = {uid: kept for uid, kept in self._written.items() if uid in uids}
        for policy in self._cluster.policies:
            with self._bulkhead.holds("status", f"{policy.meta.namespace}/{policy.meta.name}"):
                await self._write_one(policy)

    async def _write_one(self, policy: PolicyObject) -> None:
        status = self._status(policy)
        written, written_s = self._written.get(policy.meta.uid, ({}, float("-inf")))
        due = self._clock() - written_s >= COUNTS_EVERY_S
        if status == written or not (due or matters(status) != matters(written)):
            return
        path = f"{POLICIES.path(policy.meta.namespace)}/{policy.meta.name}/status"
        try:
            await self._api.merge(path, {"status": status})
        except ApiError as error:
            if error.status != NOT_FOUND:
                log.warning("status of %s: %s", policy.meta.name, error)
            return
        self._written[policy.meta.uid] = (status, self._clock())

    def _with_reports(self, workload: Workload) -> Workload:
        def reported(pod: Pod) -> Pod:
            known = self._book.latest(pod.uid)
            return pod if known is None else replace(pod, report=known[0], report_age_s=known[1])

        return replace(workload, pods=tuple(map(reported, workload.pods)))

    def _looked(self, workload: Workload) -> WorkloadReport:
        before = self._watched.get(workload.name, WorkloadReport(workload, Watched()))
        watched = rollouts.observe(before.watched, workload, self._clock())
        if watched.last is before.watched.last:
            return WorkloadReport(workload, watched, finished_at=before.finished_at)
        if watched.last is not None:
            told = {"scorecard": watched.last.to_json(), "not_measured": watched.not_measured}
            log.info("rollout of %s", workload.name, extra=told)
        return WorkloadReport(workload, watched, finished_at=timestamp(self._now()))

    def _status(self, policy: PolicyObject) -> dict[str, Any]:
        scope_name = f"policy/{policy.meta.namespace}/{policy.meta.name}"
        world = self._cluster.world
        scope = next((s for s in world.scopes if s.name == scope_name), None)
        names = [w.name for w in scope.snapshot.workloads] if scope else []
        reports = [self._watched[name] for name in names if name in self._watched]
        return status_of(
            policy,
            reports,
            invalid=world.invalid.get(scope_name),
            bare=world.bare.get(scope_name, {}),
            steering=scope is None or scope.policy.steering,
            now=timestamp(self._now()),
        )


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
