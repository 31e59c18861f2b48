"""Watches rollouts, advises the owners of workloads, and writes the status of DrainPolicies.

A status is written when something a person would act on has changed, counts alone only now and
then, so that a busy fleet does not turn into API load.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from tidegate.contract.errors import ClusterError
from tidegate.rollout.advice import advise, grace_need
from tidegate.rollout.snapshot import Pod, Policy, Workload
from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_kubernetes.kinds import POLICIES
from tidegate_kubernetes.objects import PolicyObject
from tidegate_operator.bulkhead import Bulkhead
from tidegate_operator.kube.cluster import KubernetesCluster
from tidegate_operator.kube.status import rollouts
from tidegate_operator.kube.status.announcing import Announcement, announce, figures
from tidegate_operator.kube.status.document import (
    WorkloadReport,
    matters,
    status_of,
    timestamp,
)
from tidegate_operator.kube.status.rollouts import Watched
from tidegate_operator.meters import Meters
from tidegate_operator.reports import ReportBook

ROLLING_LOOK_S: Final = 0.25
RESTING_REQUEUE_S: Final = 2.0
COUNTS_EVERY_S: Final = 10.0
SIDECAR_MISSING: Final = "SidecarMissing"
NOT_READ: Final = "NotRead"
NOT_READ_MESSAGE: Final = (
    "the objects of this workload could not be read, so it is not steered and its pods drain by "
    "their own plans; the operator's log has the reason"
)
NOT_FOUND: Final = 404
log = logging.getLogger("tidegate.status")


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
        self._announced: list[tuple[str, Announcement]] = []
        self._written: dict[str, tuple[dict[str, Any], float]] = {}
        self._nudged = asyncio.Event()

    async def run(self) -> None:
        """Look and write for ever; what cannot be written is tried again."""
        while True:
            self._nudged.clear()
            rolling = self.observe()
            await self.announce()
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
        self._meters.streams_leaving.clear()
        self._meters.streams_fitting.clear()
        for scope in self._cluster.snapshots():
            for workload in scope.snapshot.workloads:
                with self._bulkhead.holds("status", workload.name):
                    refusal = workload.refusal or refusals.get(workload.name)
                    seen = replace(self._with_reports(workload), refusal=refusal)
                    found[workload.name] = replace(
                        self._looked(seen, scope.policy),
                        advice=advise(seen, scope.policy),
                        held=holds.get(workload.name),
                    )
                    self._measure_grace(seen, scope.policy)
        self._watched = found
        return any(r.watched.running is not None for r in found.values())

    def _measure_grace(self, workload: Workload, policy: Policy) -> None:
        """Export what the workload's next rollout asks of the grace period."""
        need = grace_need(workload, policy)
        if need is not None:
            self._meters.streams_leaving.labels(workload=workload.name).set(need.leaving)
            self._meters.streams_fitting.labels(workload=workload.name).set(need.fitting)

    async def announce(self) -> None:
        """Log what rollouts have begun or ended and write an Event for each; one try has to do."""
        due, self._announced = self._announced, []
        for name, event in due:
            log.info("%s: %s: %s", name, event.reason, event.message)
            try:
                await self._cluster.event(name, event.reason, event.message, False)
            except ClusterError as error:
                log.warning("event for %s: %s", name, error)

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

    def _looked(self, workload: Workload, policy: Policy) -> WorkloadReport:
        before = self._watched.get(workload.name, WorkloadReport(workload, Watched()))
        watched = rollouts.observe(before.watched, workload, self._clock())
        due = announce(before.watched, watched, workload, policy)
        if due is not None:
            self._announced.append((workload.name, due))
        if watched.last is before.watched.last:
            return WorkloadReport(workload, watched, finished_at=before.finished_at)
        if watched.last is not None:
            log.info("scorecard of %s", workload.name, extra={"scorecard": figures(watched.last)})
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
