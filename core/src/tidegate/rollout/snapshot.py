"""What the planner sees and what it may ask for.

A `Snapshot` is made by a shell from the cluster's objects and the sidecars' reports; durations in
it are relative to the moment it was made, so that no clock needs to agree with another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.contract.kinds import integer, number, or_empty, switch
from tidegate.contract.report import Plan, Report
from tidegate.contract.settings import Problem, setting


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a workload.

    `revision` is the pod-template hash. `ready` is the Ready condition; a `deleting` pod is never
    counted as ready. `admitted` is the admit label as the API shows it. `deadline_in_s` is what
    is left until SIGKILL for a deleting pod. `report` is ``None`` until the pod has reported to
    this operator, which says nothing of its streams; `report_age_s` is its age. `age_s`: since the
    pod's creation.
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
    age_s: float = math.inf

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

    `in_place`: a pod's successor is created only once the pod is gone (a StatefulSet, a DaemonSet
    without surge, a Deployment whose strategy is Recreate), so no drain may wait for it.

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
    in_place: bool = False
    can_surge: bool = True
    min_ready_s: float = 0.0
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All workloads under one policy; they share its budget."""

    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """How fast and how carefully streams may be moved: a DrainPolicy, or the cluster's default.

    Each field is declared here once: as a field of the custom resource (`resource`, see
    `rollout.resource`), as the operator's environment variable and as the chart's value.
    """

    budget_per_s: float = setting(
        "50",
        number(0.1, 1_000_000, "streams a second"),
        "Streams per second that may be moved, over all selected workloads.",
        resource="budgetPerSecond",
    )
    window_s: float | None = setting(
        "",
        or_empty(integer(1, 86_400, "seconds"), "the whole grace period"),
        "A pod's drain is over this long after its deletion even where its grace period would "
        "allow more, for nodes that leave early (spot). Unset means all of it.",
        resource="windowSeconds",
    )
    reserve_s: float | None = setting(
        "",
        or_empty(integer(0, 3600, "seconds"), "as each sidecar keeps it"),
        "The end of the grace period that a drain leaves alone, at most half of it. Unset leaves "
        "it to each sidecar, which keeps it for its application.",
        resource="reserveSeconds",
    )
    retry_ms: int = setting(
        "100",  # one fixed value; jitter there only adds peaks
        integer(1, 60_000, "milliseconds"),
        "How long a client that is let go waits before it comes back; at least 750 where routers "
        "may still lead to a pod that was closed.",
        resource="retryMilliseconds",
    )
    steering: bool = setting(
        "on",
        switch(),
        "Whether the operator decides which pods get new streams (label tidegate.dev/admit).",
        resource="steering",
    )
    rebalance: bool = setting(
        "on",
        switch(),
        "Whether pods give streams away to even out a fleet at rest.",
        resource="rebalance",
    )
    flip_lag_s: float = setting(
        "1.1",  # kube-proxy syncs once a second
        number(0, 60, "seconds"),
        "The longest a label change takes to reach every router.",
        resource="flipLagMilliseconds",
    )
    flip_interval_s: float = setting(
        "1.2",
        number(0.1, 60, "seconds"),
        "The least time between two batches of label changes.",
        resource="flipIntervalMilliseconds",
    )

    def problems(self) -> Iterator[Problem]:
        """Nothing is left of the window."""
        if self.window_s is not None and self.window_s <= (self.reserve_s or 0):
            yield Problem("reserve_s", "must be less than {}", ("window_s",))


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
class SetPlan:
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


Action = SetAdmit | SetDeletionCost | SetPlan | Note
