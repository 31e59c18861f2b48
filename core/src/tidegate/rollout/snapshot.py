"""What the planner sees and what it may ask for.

A `Snapshot` is made by a shell from the cluster's objects and the sidecars' reports; durations in
it are relative to the moment it was made, so that no clock needs to agree with another.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.contract.report import Plan, Report


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a workload.

    `revision` is the pod-template hash. `ready` is the Ready condition; a `deleting` pod is never
    counted as ready. `admitted` is the admit label as the API shows it. `deadline_in_s` is what
    is left until SIGKILL for a deleting pod. `report_age_s`: age of `report`.
    """

    uid: str
    name: str
    revision: str
    ready: bool
    deleting: bool = False
    available: bool = True
    admitted: bool = True
    deletion_cost: int | None = None
    deadline_in_s: float | None = None
    report: Report | None = None
    report_age_s: float = 0.0

    @property
    def open(self) -> bool:
        """Whether a stream Service routes new streams here."""
        return self.ready and self.admitted and not self.deleting


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment (or its like) and its pods.

    `revision` is the pod-template hash of the ReplicaSet with the highest
    ``deployment.kubernetes.io/revision`` (not the youngest pod's: after an undo that one is
    replaced). `paused`: its rollout does not go on until it is resumed. `steerable` is false where
    the stream Service cannot be steered, `refusal` is the reason. `stream_service` names that
    Service; workloads behind the same one are one fleet (`joining`). `injected` is false where the
    pods of the desired revision have no sidecar and so are not among `pods`, as after the undo of
    an adoption: they take streams all the same, unseen.

    What follows is for `advice` only: whether this kind of workload has a surge at all, and the
    shortest grace period of its pods.
    """

    name: str
    replicas: int
    revision: str
    pods: tuple[Pod, ...] = ()
    max_surge: int = 1
    max_unavailable: int = 0
    paused: bool = False
    steerable: bool = True
    refusal: str | None = None
    stream_service: str | None = None
    injected: bool = True
    can_surge: bool = True
    min_ready_s: float = 0.0
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All workloads under one policy; they share its budget."""

    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """How fast and how carefully streams may be moved."""

    budget_per_s: float = 50.0
    """Streams per second that the fleet may move, over all workloads."""

    steering: bool = True
    """Whether the admit labels are written."""

    rebalance: bool = True
    """Whether pods shed streams to even out a fleet at rest."""

    retry_ms: int = 750
    """The one fixed `retry:` of a goodbye; jitter there only adds peaks."""

    flip_lag_s: float = 1.1
    """The longest a label change takes to reach every router (kube-proxy: one sync a second)."""

    flip_interval_s: float = 1.2
    """The least time between two batches of label changes."""


@dataclass(frozen=True, slots=True)
class SetAdmit:
    """Write the admit label of a pod."""

    uid: str
    admitted: bool


@dataclass(frozen=True, slots=True)
class SetDeletionCost:
    """Write ``controller.kubernetes.io/pod-deletion-cost`` of a pod."""

    uid: str
    cost: int


@dataclass(frozen=True, slots=True)
class SendPlan:
    """Answer a pod's report with this plan; ``None``: no plan, the pod serves as usual."""

    uid: str
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Note:
    """A notice to operators: becomes a Kubernetes Event, a log line and a metric."""

    workload: str
    reason: str
    message: str
    warning: bool = False


Action = SetAdmit | SetDeletionCost | SendPlan | Note
