"""The cluster's objects as far as Tidegate reads them, as typed records.

Each watched object is reduced once, when it arrives (`readers`), to the few fields that are used: a
thousand pods then cost kilobytes, not the megabytes of their managedFields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LABEL_TEMPLATE_HASH: Final = "pod-template-hash"
LABEL_ROLLOUT_HASH: Final = "rollouts-pod-template-hash"
LABEL_CONTROLLER_REVISION: Final = "controller-revision-hash"

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Meta:
    """Identity of an object. `version` is its resourceVersion, `created_s` Unix seconds.

    `owner` is the controlling owner reference as (kind, name, uid), ``None`` without one.
    """

    namespace: str
    name: str
    uid: str
    version: str
    labels: Mapping[str, str]
    created_s: float
    owner: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class PodObject:
    """A pod. Times are Unix seconds of the API server's clock.

    `kill_s` is ``metadata.deletionTimestamp``, which is the *end* of the grace period;
    `deleted_s` is that less ``deletionGracePeriodSeconds``. `trusts` is a digest of the authority
    its sidecar was given, ``None`` where it was given none. `log` names the log that its sidecar
    appends to and reads, `grace_s` is its own grace period.
    """

    meta: Meta
    ready: bool
    ready_since_s: float | None
    finished: bool
    kill_s: float | None
    deleted_s: float | None
    admitted: bool
    deletion_cost: int | None
    trusts: bytes | None
    log: str | None = None
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReplicaSetObject:
    """A ReplicaSet; `revision` is its controller's revision number, 0 where it has none."""

    meta: Meta
    revision: int
    template_hash: str
    replicas: int


@dataclass(frozen=True, slots=True)
class WorkloadObject:
    """A Deployment, StatefulSet or DaemonSet.

    `injected`: whether its template asks for a sidecar or brings one. `update_revision` is a
    StatefulSet's desired revision. `max_surge` and `max_unavailable` are resolved to pods, rounded
    as the Deployment controller does (surge up, unavailable down); `paused` is its ``spec.paused``,
    `pods` are those its controller counts, `in_place`: it creates a pod's successor only once the
    pod is gone.
    """

    kind: str
    meta: Meta
    replicas: int
    selector: Raw
    template_labels: Mapping[str, str]
    injected: bool
    min_ready_s: float
    max_surge: int
    max_unavailable: int
    update_revision: str | None = None
    paused: bool = False
    pods: int = 0
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class ServiceObject:
    """A Service; `spec` is kept as it is, for `steerable` to judge."""

    meta: Meta
    annotations: Mapping[str, str]
    spec: Raw


@dataclass(frozen=True, slots=True)
class PolicyObject:
    """A DrainPolicy; `spec` is read by `policies`, `conditions` are those it has now."""

    meta: Meta
    generation: int
    spec: Raw
    conditions: tuple[Raw, ...] = ()


def template_hash(labels: Mapping[str, str]) -> str:
    """The pod-template hash in the labels of a pod or ReplicaSet, empty where there is none."""
    return labels.get(LABEL_TEMPLATE_HASH) or labels.get(LABEL_ROLLOUT_HASH) or ""


def authority_digest(pem: str) -> bytes:
    """A short stand-in for an authority's PEM, so that the store need not hold one per pod."""
    return hashlib.sha256(pem.strip().encode()).digest()
