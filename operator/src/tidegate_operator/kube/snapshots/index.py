"""The objects of one moment, indexed: which workload a pod belongs to, and what the planner sees.

A pod's workload is found through its controller: a ReplicaSet's Deployment (or Argo Rollout), a
StatefulSet, a DaemonSet. Where the ReplicaSet has gone before its last pod (history limit 0), its
name identifies it: it is the Deployment's with the template hash behind it.

The desired revision is the ReplicaSet with the highest revision number, not the youngest pod's: an
undo makes an old ReplicaSet the newest revision again, and the youngest pods are then the ones to
go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from tidegate.contract.names import LABEL_ADMIT
from tidegate.rollout.snapshot import Pod, Policy, Workload
from tidegate_kubernetes.objects import (
    LABEL_CONTROLLER_REVISION,
    PodObject,
    PolicyObject,
    ReplicaSetObject,
    ServiceObject,
    template_hash,
)
from tidegate_operator.kube.snapshots import steerable
from tidegate_operator.kube.snapshots.keys import WorkloadKey
from tidegate_operator.kube.watched.store import Store

CAN_SURGE: Final = frozenset({"Deployment", "Rollout", "DaemonSet"})


class Index:
    """The objects of the store, by workload, by namespace and by controller."""

    def __init__(self, store: Store) -> None:
        self._replica_sets = {r.meta.uid: r for r in store.replica_sets}
        self._sets_of: dict[str, list[ReplicaSetObject]] = defaultdict(list)
        for replica_set in self._replica_sets.values():
            owner = replica_set.meta.owner
            self._sets_of[owner[2] if owner else replica_set.meta.uid].append(replica_set)
        self.workloads = {
            WorkloadKey(w.meta.namespace, w.kind, w.meta.name): w for w in store.workloads
        }
        self._services: dict[str, list[ServiceObject]] = defaultdict(list)
        for service in store.services:
            self._services[service.meta.namespace].append(service)
        self.policies: dict[str, list[PolicyObject]] = defaultdict(list)
        for policy in store.policies:
            self.policies[policy.meta.namespace].append(policy)
        self._owner_uids: dict[WorkloadKey, str] = {}

    def workload_of(self, pod: PodObject) -> WorkloadKey | None:
        """The workload a pod belongs to; ``None`` for a pod without a controller."""
        if pod.meta.owner is None:
            return None
        kind, name, uid = pod.meta.owner
        if kind == "ReplicaSet":
            kind, name, uid = self._through_replica_set(pod, name, uid)
        key = WorkloadKey(pod.meta.namespace, kind, name)
        self._owner_uids.setdefault(key, uid)
        return key

    def _through_replica_set(self, pod: PodObject, name: str, uid: str) -> tuple[str, str, str]:
        replica_set = self._replica_sets.get(uid)
        if replica_set is not None:
            return replica_set.meta.owner or ("ReplicaSet", name, uid)
        owner, _, suffix = name.rpartition("-")
        deployment = self.workloads.get(WorkloadKey(pod.meta.namespace, "Deployment", owner))
        if deployment is not None and suffix == template_hash(pod.meta.labels):
            return "Deployment", owner, deployment.meta.uid
        return "ReplicaSet", name, uid

    def uid(self, key: WorkloadKey) -> str:
        """The uid of a workload's object."""
        known = self.workloads.get(key)
        return self._owner_uids.get(key, "") if known is None else known.meta.uid

    def stream_services(self, key: WorkloadKey, labels: Mapping[str, str]) -> frozenset[str]:
        """The names of the Services that steer these pods; without the label none selects them."""
        if LABEL_ADMIT not in labels:
            return frozenset()
        services = self._services[key.namespace]
        found = steerable.stream_services(services, key.namespace, labels)
        return frozenset(service.meta.name for service in found)

    def labels(self, key: WorkloadKey, pods: Sequence[PodObject]) -> Mapping[str, str]:
        """The labels by which policies and Services find the pods: the template's, and those that
        all pods have.

        Not one pod's: its template hash, and labels of its revision alone, would decide by the
        order of the pods.
        """
        known = self.workloads.get(key)
        return {**_shared_labels(pods), **(known.template_labels if known else {})}

    def workload(
        self,
        key: WorkloadKey,
        pods: Sequence[PodObject],
        labels: Mapping[str, str],
        stream_service: str | None,
        rules: Policy,
        now_s: float,
    ) -> Workload:
        """The workload for the planner. `stream_service` is shared by all behind one Service."""
        known = self.workloads.get(key)
        services = self._services[key.namespace]
        refusal = (
            steerable.refusal(known, services, pods, key.namespace, labels)
            if rules.steering
            else None
        )
        min_ready_s = known.min_ready_s if known else 0.0
        return Workload(
            name=str(key),
            replicas=known.replicas if known else self._replicas(key, pods),
            revision=self._revision(key, pods),
            pods=tuple(_pod(p, min_ready_s, rules, now_s) for p in pods),
            max_surge=known.max_surge if known else 1,
            max_unavailable=known.max_unavailable if known else 0,
            paused=known is not None and known.paused,
            steerable=refusal is None,
            refusal=refusal,
            stream_service=stream_service,
            injected=known.injected if known else True,
            in_place=known.in_place if known else False,
            can_surge=key.kind in CAN_SURGE,
            min_ready_s=min_ready_s,
            grace_s=min((p.grace_s for p in pods if p.grace_s is not None), default=None),
        )

    def _replicas(self, key: WorkloadKey, pods: Sequence[PodObject]) -> int:
        """Desired pods of a controller whose object is not read: the sum over its ReplicaSets."""
        sets = self._sets_of[self.uid(key)]
        return sum(r.replicas for r in sets) or sum(p.kill_s is None for p in pods)

    def _revision(self, key: WorkloadKey, pods: Sequence[PodObject]) -> str:
        known = self.workloads.get(key)
        if known is not None and known.update_revision is not None:
            return known.update_revision
        sets = self._sets_of[self.uid(key)]
        if sets:
            return max(sets, key=lambda r: (r.revision, r.meta.created_s)).template_hash
        # A DaemonSet's revisions are ControllerRevisions, which are not watched; it recreates
        # each pod in place, so its youngest pod is of the desired revision.
        return _revision_of(max(pods, key=lambda p: (p.meta.created_s, p.meta.name)))


def _shared_labels(pods: Sequence[PodObject]) -> dict[str, str]:
    """The labels that all pods have; the operator's own, which differs among them, counts as "true"
    where any has it.
    """
    first, *others = (pod.meta.labels for pod in pods)
    shared = {k: v for k, v in first.items() if all(labels.get(k) == v for labels in others)}
    if any(LABEL_ADMIT in labels for labels in (first, *others)):
        shared[LABEL_ADMIT] = "true"
    return shared


def _revision_of(pod: PodObject) -> str:
    labels = pod.meta.labels
    return template_hash(labels) or labels.get(LABEL_CONTROLLER_REVISION, "")


def _pod(pod: PodObject, min_ready_s: float, rules: Policy, now_s: float) -> Pod:
    deleting = pod.kill_s is not None
    ready = pod.ready and not deleting
    ready_for_s = now_s - (pod.ready_since_s or now_s)
    return Pod(
        uid=pod.meta.uid,
        name=pod.meta.name,
        revision=_revision_of(pod),
        ready=ready,
        deleting=deleting,
        available=ready and ready_for_s >= min_ready_s,
        admitted=pod.admitted,
        deletion_cost=pod.deletion_cost,
        deadline_in_s=_deadline_in_s(pod, rules, now_s),
        age_s=max(0.0, now_s - pod.meta.created_s),
    )


def _deadline_in_s(pod: PodObject, rules: Policy, now_s: float) -> float | None:
    """Seconds until a deleted pod must be empty: the kill, or what the policy puts before it."""
    if pod.kill_s is None or pod.deleted_s is None:
        return None
    reserve_s = min(rules.reserve_s or 0.0, (pod.kill_s - pod.deleted_s) / 2)
    ends = [pod.kill_s - reserve_s]
    if rules.window_s is not None:
        ends.append(pod.deleted_s + rules.window_s)
    return max(0.0, min(ends) - now_s)
