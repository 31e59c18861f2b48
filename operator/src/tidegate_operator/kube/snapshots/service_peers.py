"""Workloads behind the same stream Service: what keeps them from being planned as one.

A canary is often a Deployment of its own whose pods carry the labels of the stable one's Service.
New streams reach the pods of both alike, so they are steered as one fleet (`rollout.joining`).
That cannot be where two workloads share one Service but not another (closing all pods of the one
could empty a Service of the other), where different policies rule them, or where they read
different logs: by default each workload has a log of its own, so a canary's streams would not get
what is published to a stable pod. Refused, with the fix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidegate.contract.kube import KEY_PREFIX
from tidegate.rollout.snapshot import Workload

ANNOTATION_LOG: Final = f"{KEY_PREFIX}backplane-stream"


@dataclass(frozen=True, slots=True)
class ServicePeer:
    """One workload: `services` are the stream Services that select its pods.

    `policy` names what governs it (all workloads without a DrainPolicy have the same default) and
    `steered`: whether that policy has steering enabled; a workload without it needs no reason, but
    keeps its peers from being steered. `log` is the log of its sidecars, ``None`` where they have
    not reported one.
    """

    workload: Workload
    scope: str
    policy: str
    services: frozenset[str]
    log: str | None = None
    steered: bool = True

    @property
    def title(self) -> str:
        """Kind and name, as in ``Deployment/shop``."""
        return self.workload.name.partition("/")[2]


def with_refusals(neighbours: Sequence[ServicePeer]) -> list[ServicePeer]:
    """All of them in the same order, those refused that cannot be planned with their neighbours."""
    problems: dict[str, str] = {}
    for together in _connected(neighbours):
        problems |= _problems(together)
    return [_refused(n, problems.get(n.workload.name)) for n in neighbours]


def _connected(neighbours: Sequence[ServicePeer]) -> list[list[ServicePeer]]:
    """Groups that share a Service, directly or through others."""
    by_service: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, neighbour in enumerate(neighbours):
        namespace = neighbour.workload.name.partition("/")[0]
        for service in neighbour.services:
            by_service[namespace, service].append(i)
    group = list(range(len(neighbours)))
    for indexes in by_service.values():
        merged = {group[i] for i in indexes}
        group = [min(merged) if g in merged else g for g in group]
    found: dict[int, list[ServicePeer]] = defaultdict(list)
    for i, neighbour in enumerate(neighbours):
        found[group[i]].append(neighbour)
    return list(found.values())


def _problems(together: Sequence[ServicePeer]) -> dict[str, str]:
    """Why which of these cannot be steered with the others, by workload."""
    names = ", ".join(sorted(n.title for n in together))
    shared = ", ".join(sorted(frozenset.union(*(n.services for n in together))))
    problem = None
    if any(n.services != together[0].services for n in together):
        problem = (
            f"{names} share some of the Services {shared} but not all, so that closing the pods of "
            "one could empty a Service of another: let each Service select the same workloads"
        )
    elif any(n.policy != together[0].policy for n in together):
        problem = (
            f"{names} share the Service {shared} but have different DrainPolicies: let one policy "
            "select them all, or give each a Service of its own"
        )
    if problem is not None:
        return {n.workload.name: problem for n in together}
    largest = max(together, key=lambda n: (n.workload.replicas, n.workload.name))
    return {
        n.workload.name: _stranger(n, largest, shared)
        for n in together
        if n.log is not None and largest.log is not None and n.log != largest.log
    }


def _stranger(neighbour: ServicePeer, largest: ServicePeer, shared: str) -> str:
    return (
        f"its log is {neighbour.log}, that of {largest.title} behind the same Service {shared} is "
        f"{largest.log}, so events of one never reach the streams of the other: "
        f"annotate the pod templates of both with {ANNOTATION_LOG}: {largest.log}"
    )


def _refused(neighbour: ServicePeer, problem: str | None) -> ServicePeer:
    if problem is None or not neighbour.steered:
        return neighbour
    workload = neighbour.workload
    refused = replace(workload, steerable=False, refusal=workload.refusal or problem)
    return replace(neighbour, workload=refused)
