"""Workloads that a DrainPolicy is meant for and that have no sidecar, so nothing drains them.

The operator watches injected pods only, so it sees these through their Deployment: its template's
labels match a policy, it has pods, and none of them was injected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tidegate.contract.kube import ANNOTATION_INJECT
from tidegate_kubernetes.objects import PolicyObject, WorkloadObject
from tidegate_operator.kube.snapshots.keys import WorkloadKey
from tidegate_operator.kube.snapshots.policies import policy_for

AFTER_S: Final = 60.0
"""How long the pods of a new workload may take before a missing sidecar is reported."""


def uninjected_workloads(
    workloads: Mapping[WorkloadKey, WorkloadObject],
    policies: Mapping[str, Sequence[PolicyObject]],
    injected: Collection[WorkloadKey],
    now_s: float,
) -> dict[WorkloadKey, tuple[PolicyObject, str]]:
    """Each with its policy and why; `policies` by namespace, `injected` have injected pods.

    A policy with an empty selector means the injected pods only.
    """
    found = {}
    for key, workload in workloads.items():
        mine = [p for p in policies.get(key.namespace, ()) if p.spec.get("selector")]
        policy = policy_for(mine, key.namespace, workload.template_labels)
        old = now_s - workload.meta.created_s >= AFTER_S
        if policy is not None and key not in injected and workload.pods and old:
            found[key] = (policy, _why(workload, policy))
    return found


def _why(workload: WorkloadObject, policy: PolicyObject) -> str:
    if not workload.injected:
        return (
            f"DrainPolicy {policy.meta.name} selects these pods, but they have no sidecar: put the "
            f'annotation {ANNOTATION_INJECT}: "true" into the pod template'
        )
    return (
        f"DrainPolicy {policy.meta.name} selects these pods, and they were made without a sidecar: "
        "run kubectl rollout restart, and if that does not help, check the injector's log"
    )
