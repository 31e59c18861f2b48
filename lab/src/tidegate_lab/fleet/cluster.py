"""The operator's view of a local fleet: the same `Cluster` port that Kubernetes implements."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.contract.errors import ClusterError
from tidegate.rollout.snapshot import Pod, Policy, Snapshot, Workload
from tidegate_lab.fleet.fleet import Fleet
from tidegate_lab.fleet.pod import LocalPod
from tidegate_operator.cluster import Scope


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """An Event of the operator. `at_s` is monotonic seconds."""

    at_s: float
    reason: str
    message: str
    warning: bool


class LocalCluster:
    """One Deployment under one policy; labels and costs are attributes of the local pods."""

    def __init__(self, fleet: Fleet, policy: Policy) -> None:
        self._fleet = fleet
        self._policy = policy
        self.events: list[FleetEvent] = []

    def snapshots(self) -> Sequence[Scope]:
        """The one scope there is."""
        settings = self._fleet.settings
        workload = Workload(
            name="fleet",
            replicas=settings.pods,
            revision=self._fleet.revision,
            pods=tuple(self._seen(pod) for pod in self._fleet.pods),
            max_surge=settings.max_surge,
            max_unavailable=settings.max_unavailable,
        )
        return (Scope("lab", self._policy, Snapshot((workload,))),)

    async def identify(self, token: str) -> str | None:
        """The pod with this random token."""
        for pod in self._fleet.pods:
            if token and pod.spec.token == token:
                return pod.spec.uid
        return None

    async def set_admit(self, uid: str, admitted: bool) -> None:
        """Write the label; the front door takes it up at its next sync."""
        self._pod(uid).admitted = admitted
        self._fleet.changed()

    async def set_deletion_cost(self, uid: str, cost: int) -> None:
        """Write the cost; the controller reads it when it next deletes."""
        self._pod(uid).deletion_cost = cost

    async def event(self, workload: str, reason: str, message: str, warning: bool) -> None:
        """Keep it for the report."""
        self.events.append(FleetEvent(time.monotonic(), reason, message, warning))

    def _pod(self, uid: str) -> LocalPod:
        pod = self._fleet.pod(uid)
        if pod is None:
            raise ClusterError(f"pod {uid} is gone")
        return pod

    def _seen(self, pod: LocalPod) -> Pod:
        deadline_in_s = None
        if pod.deleted_s is not None:
            deadline_in_s = max(0.0, pod.deleted_s + pod.spec.grace_s - time.monotonic())
        return Pod(
            uid=pod.spec.uid,
            name=pod.spec.name,
            revision=pod.spec.revision,
            ready=pod.ready and not pod.deleting,
            deleting=pod.deleting,
            available=self._fleet.available(pod),
            admitted=pod.admitted,
            deletion_cost=pod.deletion_cost,
            deadline_in_s=deadline_in_s,
        )
