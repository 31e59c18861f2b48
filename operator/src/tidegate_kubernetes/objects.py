"""The cluster's objects as far as the operator reads them.

Each watched object is boiled down once, when it arrives, to the few fields that are used: a
thousand pods then cost kilobytes, not the megabytes of their managedFields. Readers are lenient
where the API server has validated already (absent means the documented default) and raise
`DocumentError` where an object cannot be what it claims to be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.contract.errors import DocumentError
from tidegate.contract.kube import ANNOTATION_INJECT, ANNOTATION_OPERATOR_CA, CONTAINER_SIDECAR
from tidegate.contract.names import ANNOTATION_DELETION_COST, LABEL_ADMIT, LABEL_INJECTED
from tidegate.contract.sidecar import env

REVISION_ANNOTATIONS = ("deployment.kubernetes.io/revision", "rollout.argoproj.io/revision")
LABEL_TEMPLATE_HASH = "pod-template-hash"
LABEL_ROLLOUT_HASH = "rollouts-pod-template-hash"
LABEL_CONTROLLER_REVISION = "controller-revision-hash"

MOST_INTEGER = 2**31 - 1
"""The API's int32: replicas, revisions and deletion costs are none larger."""

MOST_SECONDS = 10**9
MOST_DIGITS = 20

_FINISHED = frozenset({"Succeeded", "Failed"})

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
    `pods` are those its controller counts.
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


def read_meta(raw: Raw) -> Meta:
    """The metadata of any object; raises `DocumentError` without name or uid."""
    meta = raw.get("metadata") or {}
    kind = str(raw.get("kind") or "object")
    for field in ("name", "uid"):
        if not isinstance(meta.get(field), str):
            raise DocumentError(kind, f"metadata.{field}", "must be a string")
    owners = [o for o in meta.get("ownerReferences") or () if o.get("controller")]
    return Meta(
        namespace=meta.get("namespace") or "",
        name=meta["name"],
        uid=meta["uid"],
        version=str(meta.get("resourceVersion") or ""),
        labels=dict(meta.get("labels") or {}),
        created_s=timestamp_s(meta.get("creationTimestamp")) or 0.0,
        owner=(owners[0]["kind"], owners[0]["name"], owners[0]["uid"]) if owners else None,
    )


def read_pod(raw: Raw) -> PodObject:
    """A pod as the API returns it."""
    meta, status = raw["metadata"], raw.get("status") or {}
    conditions = status.get("conditions") or ()
    ready: Raw = next((c for c in conditions if c.get("type") == "Ready"), {})
    kill_s = timestamp_s(meta.get("deletionTimestamp"))
    grace_s = _seconds(meta.get("deletionGracePeriodSeconds")) or 0.0
    known = read_meta(raw)
    return PodObject(
        meta=known,
        ready=ready.get("status") == "True",
        ready_since_s=timestamp_s(ready.get("lastTransitionTime")),
        finished=status.get("phase") in _FINISHED,
        kill_s=kill_s,
        deleted_s=None if kill_s is None else kill_s - grace_s,
        admitted=known.labels.get(LABEL_ADMIT) == "true",
        deletion_cost=_whole((meta.get("annotations") or {}).get(ANNOTATION_DELETION_COST)),
        trusts=_digest((meta.get("annotations") or {}).get(ANNOTATION_OPERATOR_CA)),
        log=_log((raw.get("spec") or {}).get("initContainers") or ()),
        grace_s=_seconds((raw.get("spec") or {}).get("terminationGracePeriodSeconds")),
    )


def read_replica_set(raw: Raw) -> ReplicaSetObject:
    """A ReplicaSet as the API returns it."""
    annotations = raw["metadata"].get("annotations") or {}
    revisions = (_whole(annotations.get(key)) for key in REVISION_ANNOTATIONS)
    meta = read_meta(raw)
    return ReplicaSetObject(
        meta=meta,
        revision=next((r for r in revisions if r is not None), 0),
        template_hash=template_hash(meta.labels),
        replicas=_count((raw.get("spec") or {}).get("replicas"), 1),
    )


def read_deployment(raw: Raw) -> WorkloadObject:
    """A Deployment as the API returns it (defaults filled in by the API server)."""
    spec = raw.get("spec") or {}
    replicas = _count(spec.get("replicas"), 1)
    surge, unavailable = _rolling_update(spec.get("strategy") or {}, replicas)
    return _workload("Deployment", raw, replicas, surge, unavailable)


def read_stateful_set(raw: Raw) -> WorkloadObject:
    """A StatefulSet: no surge, one pod at a time unless maxUnavailable is set."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    replicas = _count(spec.get("replicas"), 1)
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    unavailable = max(1, _pods_of(rolling.get("maxUnavailable", 1), replicas, up=False))
    desired = status.get("updateRevision") or None
    return _workload("StatefulSet", raw, replicas, 0, unavailable, desired)


def read_daemon_set(raw: Raw) -> WorkloadObject:
    """A DaemonSet: as many pods as nodes want one."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    replicas = _count(status.get("desiredNumberScheduled"), 0)
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = _pods_of(rolling.get("maxSurge", 0), replicas, up=True)
    unavailable = _pods_of(rolling.get("maxUnavailable", 1), replicas, up=True)
    return _workload("DaemonSet", raw, replicas, surge, unavailable)


def read_service(raw: Raw) -> ServiceObject:
    """A Service as the API returns it."""
    annotations = dict(raw["metadata"].get("annotations") or {})
    return ServiceObject(read_meta(raw), annotations, raw.get("spec") or {})


def read_policy(raw: Raw) -> PolicyObject:
    """A DrainPolicy as the API returns it."""
    generation = _count(raw["metadata"].get("generation"), 0)
    listed = (raw.get("status") or {}).get("conditions") or ()
    conditions = tuple(c for c in listed if isinstance(c, Mapping))
    spec = raw.get("spec") or {}
    if not isinstance(spec, Mapping):
        raise DocumentError("DrainPolicy", "spec", "must be an object")
    _check_selector("DrainPolicy", spec.get("selector"))
    return PolicyObject(read_meta(raw), generation, spec, conditions)


def _check_selector(kind: str, selector: object) -> Raw:
    """A LabelSelector that `selectors` can evaluate; raises `DocumentError` for anything else."""
    error = DocumentError(kind, "spec.selector", "must be a LabelSelector")
    if not selector:
        return {}
    if not isinstance(selector, Mapping):
        raise error
    pairs, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    if not isinstance(pairs or {}, Mapping) or not isinstance(expressions or [], list):
        raise error
    for one in expressions or ():
        if not isinstance(one, Mapping) or not isinstance(one.get("values") or [], list):
            raise error
        if not isinstance(one.get("key"), str) or not isinstance(one.get("operator"), str):
            raise error
    return selector


def template_hash(labels: Mapping[str, str]) -> str:
    """The pod-template hash in the labels of a pod or ReplicaSet, empty where there is none."""
    return labels.get(LABEL_TEMPLATE_HASH) or labels.get(LABEL_ROLLOUT_HASH) or ""


def timestamp_s(text: object) -> float | None:
    """An RFC 3339 timestamp as Unix seconds; ``None`` for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _workload(
    kind: str,
    raw: Raw,
    replicas: int,
    max_surge: int,
    max_unavailable: int,
    update_revision: str | None = None,
) -> WorkloadObject:
    spec = raw.get("spec") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    labels = dict(template.get("labels") or {})
    asked = (template.get("annotations") or {}).get(ANNOTATION_INJECT) == "true"
    status = raw.get("status") or {}
    return WorkloadObject(
        kind=kind,
        meta=read_meta(raw),
        replicas=replicas,
        selector=_check_selector(kind, spec.get("selector")),
        template_labels=labels,
        injected=asked or labels.get(LABEL_INJECTED) == "true",
        min_ready_s=_seconds(spec.get("minReadySeconds")) or 0.0,
        max_surge=max_surge,
        max_unavailable=max_unavailable,
        update_revision=update_revision,
        paused=spec.get("paused") is True,
        pods=_count(status.get("replicas", status.get("currentNumberScheduled")), 0),
    )


def _rolling_update(strategy: Raw, replicas: int) -> tuple[int, int]:
    """(surge, unavailable) in pods; Recreate takes all at once.

    As ``ResolveFenceposts`` of the Deployment controller: both zero becomes one unavailable.
    """
    if strategy.get("type") == "Recreate":
        return 0, max(1, replicas)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _pods_of(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _pods_of(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _pods_of(value: object, replicas: int, *, up: bool) -> int:
    """An int-or-percentage as a number of pods."""
    if isinstance(value, str) and value.endswith("%"):
        share = (_whole(value[:-1]) or 0) * replicas / 100
        return math.ceil(share) if up else math.floor(share)
    return _count(value, 0)


def authority_digest(pem: str) -> bytes:
    """A short stand-in for an authority's PEM, so that the store need not hold one per pod."""
    return hashlib.sha256(pem.strip().encode()).digest()


def _digest(pem: object) -> bytes | None:
    return authority_digest(pem) if isinstance(pem, str) else None


def _log(containers: Iterable[Raw]) -> str | None:
    """What the injector wrote into the sidecar's environment."""
    sidecar: Raw = next((c for c in containers if c.get("name") == CONTAINER_SIDECAR), {})
    variables = sidecar.get("env") or ()
    name = env("backplane_stream")
    return next((v.get("value") for v in variables if v.get("name") == name), None)


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int) and 0 <= value <= MOST_SECONDS else None


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) and 0 <= value <= MOST_INTEGER else default


def _whole(text: object) -> int | None:
    """An annotation's whole number, or a percentage's; ``None`` for anything else."""
    if not isinstance(text, str) or len(text) > MOST_DIGITS:
        return None
    try:
        value = int(text)
    except ValueError:
        return None
    return value if abs(value) <= MOST_INTEGER else None
