"""From the cluster's objects to what the planner sees: workloads, pods, policies, refusals.

Pure: objects and the time in, scopes out. A pod's workload is found through its controller: a
ReplicaSet's Deployment (or Argo Rollout), a StatefulSet, a DaemonSet. Where the ReplicaSet has
gone before its last pod (history limit 0), its name identifies it: it is the Deployment's with the
template hash behind it.

Workloads behind one stream Service are one fleet (`rollout.joining`), or refused (`neighbours`).

The desired revision is the ReplicaSet with the highest revision number, not the youngest pod's: an
undo makes an old ReplicaSet the newest revision again, and the youngest pods are then the ones to
go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidegate.contract.errors import DocumentError
from tidegate.contract.names import LABEL_ADMIT
from tidegate.rollout.resource import policy_of
from tidegate.rollout.snapshot import Pod, Policy, Snapshot, Workload
from tidegate_kubernetes.objects import (
    LABEL_CONTROLLER_REVISION,
    PodObject,
    PolicyObject,
    ReplicaSetObject,
    ServiceObject,
    template_hash,
)
from tidegate_operator.cluster import Scope
from tidegate_operator.kube.snapshots import steerable
from tidegate_operator.kube.snapshots.keys import WorkloadKey
from tidegate_operator.kube.snapshots.policies import policy_for
from tidegate_operator.kube.snapshots.service_peers import ServicePeer, with_refusals
from tidegate_operator.kube.snapshots.uninjected import uninjected_workloads
from tidegate_operator.kube.watched.store import Store

CAN_SURGE: Final = frozenset({"Deployment", "Rollout", "DaemonSet"})


@dataclass(frozen=True, slots=True)
class World:
    """One picture of the cluster.

    `keys` and `uids` find a workload's object by the planner's name; `policies` finds the policy
    of a scope; `bare` are workloads that a policy selects by its labels and that have no sidecar,
    with the reason, by the policy's scope; `failed` are workloads whose objects could not be put
    together, which are in no scope; `timed`: the snapshot changes with time alone (a pod
    is terminating or not yet available), so it must be built again at every reconcile.
    """

    scopes: tuple[Scope, ...]
    keys: Mapping[str, WorkloadKey]
    uids: Mapping[str, str]
    policies: Mapping[str, PolicyObject]
    invalid: Mapping[str, str]
    bare: Mapping[str, Mapping[str, str]]
    failed: Mapping[str, Exception]
    timed: bool


def build(store: Store, default: Policy, now_s: float) -> World:
    """The whole picture. `now_s` is Unix seconds; `default` rules where no DrainPolicy does."""
    known = _Known(store)
    groups: dict[WorkloadKey, list[PodObject]] = defaultdict(list)
    for pod in store.pods:
        key = known.workload_of(pod)
        if key is not None and not pod.finished:
            groups[key].append(pod)
    neighbours: list[ServicePeer] = []
    policies: dict[str, PolicyObject] = {}
    invalid: dict[str, str] = {}
    rules_by_scope: dict[str, Policy] = {}
    failed: dict[str, Exception] = {}

    def take(key: WorkloadKey) -> None:
        labels = known.labels(key, groups[key])
        policy = policy_for(known.policies[key.namespace], key.namespace, labels)
        services = known.stream_services(key, labels)
        together = _together(key, services)
        scope = _scope_name(policy, together or str(key))
        if scope not in rules_by_scope:
            rules_by_scope[scope], problem = _rules(policy, default)
            if policy is not None:
                policies[scope] = policy
            if problem is not None:
                invalid[scope] = problem
        rules = rules_by_scope[scope]
        neighbours.append(
            ServicePeer(
                known.workload(key, groups[key], labels, together, rules, now_s),
                scope,
                policy=scope if policy is not None else "default",
                services=services,
                log=_log(groups[key]),
                steered=rules.steering,
            )
        )

    for key in sorted(groups, key=str):
        try:
            take(key)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this workload's alone
            failed[str(key)] = error
    bare = uninjected_workloads(known.workloads, known.policies, groups, now_s)
    scopes: dict[str, list[Workload]] = defaultdict(list)
    for neighbour in with_refusals(neighbours):
        workload = neighbour.workload
        steered = neighbour.steered and workload.steerable
        scopes[neighbour.scope].append(workload if steered else _left_alone(workload, store.pods))
    return World(
        scopes=tuple(
            Scope(name, rules_by_scope[name], Snapshot(tuple(found)))
            for name, found in sorted(scopes.items())
        ),
        keys={str(key): key for key in (*groups, *bare)},
        uids={str(key): known.uid(key) for key in (*groups, *bare)},
        policies=policies,
        invalid=invalid,
        bare=_by_scope(bare),
        failed=failed,
        timed=any(
            p.deleting or (p.ready and not p.available) for w in _all(scopes) for p in w.pods
        ),
    )


def _by_scope(
    bare: Mapping[WorkloadKey, tuple[PolicyObject, str]],
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for key, (policy, why) in bare.items():
        found[_scope_name(policy, str(key))][str(key)] = why
    return found


def _left_alone(workload: Workload, pods: Iterable[PodObject]) -> Workload:
    """A workload that is not steered: a pod that was never given the label counts as open.

    Only its owner may set the label: the operator refuses workloads whose owner has not.
    """
    without = {pod.meta.uid for pod in pods if LABEL_ADMIT not in pod.meta.labels}
    open_pods = (replace(p, admitted=p.admitted or p.uid in without) for p in workload.pods)
    return replace(workload, pods=tuple(open_pods))


def _all(scopes: Mapping[str, Sequence[Workload]]) -> Iterable[Workload]:
    return (workload for found in scopes.values() for workload in found)


def _log(pods: Sequence[PodObject]) -> str | None:
    """The log of a workload: its youngest pod's, for a rollout may change it."""
    return max(pods, key=lambda p: (p.meta.created_s, p.meta.name)).log


def _together(key: WorkloadKey, services: Collection[str]) -> str | None:
    """What workloads behind the same stream Service (or Services) share; ``None`` behind none."""
    return f"{key.namespace}/{','.join(sorted(services))}" if services else None


def _scope_name(policy: PolicyObject | None, fleet: str) -> str:
    """A policy's workloads share its budget; each other fleet has the default one alone."""
    if policy is None:
        return f"default/{fleet}"
    return f"policy/{policy.meta.namespace}/{policy.meta.name}"


def _rules(policy: PolicyObject | None, default: Policy) -> tuple[Policy, str | None]:
    if policy is None:
        return default, None
    try:
        return policy_of(policy.spec, default), None
    except DocumentError as error:
        return default, str(error)


class _Known:
    """The store, indexed for one picture."""

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
        """The labels by which policies and Services find the pods: the template's first."""
        known = self.workloads.get(key)
        return {**pods[0].meta.labels, **(known.template_labels if known else {})}

    def workload(
        self,
        key: WorkloadKey,
        pods: Sequence[PodObject],
        labels: Mapping[str, str],
        stream_service: str | None,
        rules: Policy,
        now_s: float,
    ) -> Workload:
        """One workload as the planner takes it."""
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


def pods_by_uid(world: World, uids: Collection[str] | None = None) -> dict[str, Pod]:
    """The pods of a picture, all or some, by uid."""
    pods = (p for s in world.scopes for w in s.snapshot.workloads for p in w.pods)
    return {p.uid: p for p in pods if uids is None or p.uid in uids}
