"""The operator's port to the world: which pods there are, and the few writes it may make.

Kubernetes implements it with informers and patches, the lab with a fleet of local processes. It
imports neither kopf nor kubernetes, so that the same operator runs on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegate.rollout.snapshot import Policy, Snapshot


@dataclass(frozen=True, slots=True)
class Scope:
    """All workloads under one policy, as seen now. `name` is stable.

    The pods in it carry no reports; those are the report book's.
    """

    name: str
    policy: Policy
    snapshot: Snapshot


class Cluster(Protocol):
    """What the operator reads and writes. Writes are idempotent and raise `ClusterError`."""

    def snapshots(self) -> Sequence[Scope]:
        """Every scope, from caches: called many times a second, so it must not block."""

    async def identify(self, token: str) -> str | None:
        """The uid of the pod with this token, ``None`` where no pod has it."""

    async def set_admit(self, uid: str, admitted: bool) -> None:
        """Write the admit label of a pod."""

    async def set_deletion_cost(self, uid: str, cost: int) -> None:
        """Write the pod-deletion-cost annotation of a pod."""

    async def event(self, workload: str, reason: str, message: str, warning: bool) -> None:
        """Publish an Event about this workload."""
