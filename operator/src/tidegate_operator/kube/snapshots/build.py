"""From the cluster's objects to what the planner sees: workloads, pods, policies, refusals.

Pure: objects and the time in, scopes out. Workloads behind one stream Service are one fleet
(`rollout.joining`), or refused (`service_peers`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.contract.errors import DocumentError
from tidegate.contract.names import LABEL_ADMIT
from tidegate.rollout.resource import policy_of
from tidegate.rollout.snapshot import Policy, Snapshot, Workload
from tidegate_kubernetes.objects import PodObject, PolicyObject
from tidegate_operator.cluster import Scope
from tidegate_operator.kube.snapshots.index import Index
from tidegate_operator.kube.snapshots.keys import WorkloadKey
from tidegate_operator.kube.snapshots.policies import policy_for
from tidegate_operator.kube.snapshots.service_peers import ServicePeer, with_refusals
from tidegate_operator.kube.snapshots.uninjected import uninjected_workloads
from tidegate_operator.kube.watched.store import Store


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
    index = Index(store)
    groups = _by_workload(index, store.pods)
    found = _Scopes(default)
    peers: list[ServicePeer] = []
    failed: dict[str, Exception] = {}
    for key in sorted(groups, key=str):
        try:
            peers.append(_peer(key, groups[key], index, found, now_s))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this workload's alone
            failed[str(key)] = error
    scopes: dict[str, list[Workload]] = defaultdict(list)
    for peer in with_refusals(peers):
        workload = peer.workload
        steered = peer.steered and workload.steerable
        scopes[peer.scope].append(workload if steered else _left_alone(workload, store.pods))
    bare = uninjected_workloads(index.workloads, index.policies, groups, now_s)
    pods = (pod for workloads in scopes.values() for w in workloads for pod in w.pods)
    return World(
        scopes=tuple(
            Scope(name, found.rules[name], Snapshot(tuple(workloads)))
            for name, workloads in sorted(scopes.items())
        ),
        keys={str(key): key for key in (*groups, *bare)},
        uids={str(key): index.uid(key) for key in (*groups, *bare)},
        policies=found.policies,
        invalid=found.invalid,
        bare=_by_scope(bare),
        failed=failed,
        timed=any(pod.deleting or (pod.ready and not pod.available) for pod in pods),
    )


class _Scopes:
    """The scopes met so far: their rules, their policies, and why a policy's rules are not used."""

    def __init__(self, default: Policy) -> None:
        self._default = default
        self.rules: dict[str, Policy] = {}
        self.policies: dict[str, PolicyObject] = {}
        self.invalid: dict[str, str] = {}

    def rules_of(self, scope: str, policy: PolicyObject | None) -> Policy:
        """The rules of a scope, the default's where it has no policy or one that cannot be read."""
        if scope not in self.rules:
            self.rules[scope] = self._read(scope, policy)
        return self.rules[scope]

    def _read(self, scope: str, policy: PolicyObject | None) -> Policy:
        if policy is None:
            return self._default
        self.policies[scope] = policy
        try:
            return policy_of(policy.spec, self._default)
        except DocumentError as error:
            self.invalid[scope] = str(error)
            return self._default


def _by_workload(index: Index, pods: Iterable[PodObject]) -> dict[WorkloadKey, list[PodObject]]:
    groups: dict[WorkloadKey, list[PodObject]] = defaultdict(list)
    for pod in pods:
        key = index.workload_of(pod)
        if key is not None and not pod.finished:
            groups[key].append(pod)
    return groups


def _peer(
    key: WorkloadKey, pods: Sequence[PodObject], index: Index, scopes: _Scopes, now_s: float
) -> ServicePeer:
    """One workload, with what `service_peers` compares it by."""
    labels = index.labels(key, pods)
    policy = policy_for(index.policies[key.namespace], key.namespace, labels)
    services = index.stream_services(key, labels)
    together = _together(key, services)
    scope = _scope_name(policy, together or str(key))
    rules = scopes.rules_of(scope, policy)
    return ServicePeer(
        index.workload(key, pods, labels, together, rules, now_s),
        scope,
        policy=scope if policy is not None else "default",
        services=services,
        log=_log(pods),
        steered=rules.steering,
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
