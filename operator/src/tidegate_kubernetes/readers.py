"""Reads objects as the API server returns them into the records of `objects`.

Readers are lenient where the API server has validated already (absent means the documented default)
and raise `DocumentError` where an object cannot be what it claims to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tidegate.contract.errors import DocumentError
from tidegate.contract.kube import ANNOTATION_INJECT, ANNOTATION_OPERATOR_CA, CONTAINER_SIDECAR
from tidegate.contract.names import ANNOTATION_DELETION_COST, LABEL_ADMIT, LABEL_INJECTED
from tidegate.contract.sidecar import env
from tidegate_kubernetes.objects import (
    Meta,
    PodObject,
    PolicyObject,
    Raw,
    ReplicaSetObject,
    ServiceObject,
    WorkloadObject,
    authority_digest,
    template_hash,
)
from tidegate_kubernetes.values import count, pods_of, seconds, timestamp_s, whole

REVISION_ANNOTATIONS: Final = (
    "deployment.kubernetes.io/revision",
    "rollout.argoproj.io/revision",
)

_FINISHED: Final = frozenset({"Succeeded", "Failed"})


def read_meta(raw: Raw) -> Meta:
    """The metadata of any object; raises `DocumentError` without name or uid."""
    meta = raw.get("metadata") or {}
    kind = str(raw.get("kind") or "object")
    for field in ("name", "uid"):
        if not isinstance(meta.get(field), str):
            raise DocumentError(kind, f"metadata.{field}", "must be a string")
    return Meta(
        namespace=meta.get("namespace") or "",
        name=meta["name"],
        uid=meta["uid"],
        version=str(meta.get("resourceVersion") or ""),
        labels=dict(meta.get("labels") or {}),
        created_s=timestamp_s(meta.get("creationTimestamp")) or 0.0,
        owner=_owner(kind, meta.get("ownerReferences") or ()),
    )


def _owner(kind: str, references: Iterable[Raw]) -> tuple[str, str, str] | None:
    """The controlling owner reference; raises `DocumentError` for one without kind, name or uid."""
    owner = next((o for o in references if o.get("controller")), None)
    if owner is None:
        return None
    for field in ("kind", "name", "uid"):
        if not isinstance(owner.get(field), str):
            raise DocumentError(kind, f"metadata.ownerReferences.{field}", "must be a string")
    return owner["kind"], owner["name"], owner["uid"]


def read_pod(raw: Raw) -> PodObject:
    """A pod as the API returns it."""
    meta, status = raw["metadata"], raw.get("status") or {}
    conditions = status.get("conditions") or ()
    ready: Raw = next((c for c in conditions if c.get("type") == "Ready"), {})
    kill_s = timestamp_s(meta.get("deletionTimestamp"))
    grace_s = seconds(meta.get("deletionGracePeriodSeconds")) or 0.0
    known = read_meta(raw)
    return PodObject(
        meta=known,
        ready=ready.get("status") == "True",
        ready_since_s=timestamp_s(ready.get("lastTransitionTime")),
        finished=status.get("phase") in _FINISHED,
        kill_s=kill_s,
        deleted_s=None if kill_s is None else kill_s - grace_s,
        admitted=known.labels.get(LABEL_ADMIT) == "true",
        deletion_cost=whole((meta.get("annotations") or {}).get(ANNOTATION_DELETION_COST)),
        trusts=_digest((meta.get("annotations") or {}).get(ANNOTATION_OPERATOR_CA)),
        log=_log((raw.get("spec") or {}).get("initContainers") or ()),
        grace_s=seconds((raw.get("spec") or {}).get("terminationGracePeriodSeconds")),
    )


def read_replica_set(raw: Raw) -> ReplicaSetObject:
    """A ReplicaSet as the API returns it."""
    annotations = raw["metadata"].get("annotations") or {}
    revisions = (whole(annotations.get(key)) for key in REVISION_ANNOTATIONS)
    meta = read_meta(raw)
    return ReplicaSetObject(
        meta=meta,
        revision=next((r for r in revisions if r is not None), 0),
        template_hash=template_hash(meta.labels),
        replicas=count((raw.get("spec") or {}).get("replicas"), 1),
    )


def read_deployment(raw: Raw) -> WorkloadObject:
    """A Deployment as the API returns it (defaults filled in by the API server)."""
    spec = raw.get("spec") or {}
    replicas = count(spec.get("replicas"), 1)
    strategy = spec.get("strategy") or {}
    surge, unavailable = _rolling_update(strategy, replicas)
    in_place = strategy.get("type") == "Recreate"
    return _workload("Deployment", raw, replicas, surge, unavailable, in_place=in_place)


def read_stateful_set(raw: Raw) -> WorkloadObject:
    """A StatefulSet: no surge, one pod at a time unless maxUnavailable is set."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    replicas = count(spec.get("replicas"), 1)
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    unavailable = max(1, pods_of(rolling.get("maxUnavailable", 1), replicas, up=False))
    desired = status.get("updateRevision") or None
    return _workload("StatefulSet", raw, replicas, 0, unavailable, desired, in_place=True)


def read_daemon_set(raw: Raw) -> WorkloadObject:
    """A DaemonSet: one pod on each eligible node."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    replicas = count(status.get("desiredNumberScheduled"), 0)
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = pods_of(rolling.get("maxSurge", 0), replicas, up=True)
    unavailable = pods_of(rolling.get("maxUnavailable", 1), replicas, up=True)
    return _workload("DaemonSet", raw, replicas, surge, unavailable, in_place=surge == 0)


def read_service(raw: Raw) -> ServiceObject:
    """A Service as the API returns it."""
    annotations = dict(raw["metadata"].get("annotations") or {})
    return ServiceObject(read_meta(raw), annotations, raw.get("spec") or {})


def read_policy(raw: Raw) -> PolicyObject:
    """A DrainPolicy as the API returns it."""
    generation = count(raw["metadata"].get("generation"), 0)
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


def _workload(
    kind: str,
    raw: Raw,
    replicas: int,
    max_surge: int,
    max_unavailable: int,
    update_revision: str | None = None,
    *,
    in_place: bool,
) -> WorkloadObject:
    spec = raw.get("spec") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    labels = dict(template.get("labels") or {})
    requested = (template.get("annotations") or {}).get(ANNOTATION_INJECT) == "true"
    status = raw.get("status") or {}
    return WorkloadObject(
        kind=kind,
        meta=read_meta(raw),
        replicas=replicas,
        selector=_check_selector(kind, spec.get("selector")),
        template_labels=labels,
        injected=requested or labels.get(LABEL_INJECTED) == "true",
        min_ready_s=seconds(spec.get("minReadySeconds")) or 0.0,
        max_surge=max_surge,
        max_unavailable=max_unavailable,
        update_revision=update_revision,
        paused=spec.get("paused") is True,
        pods=count(status.get("replicas", status.get("currentNumberScheduled")), 0),
        in_place=in_place,
    )


def _rolling_update(strategy: Raw, replicas: int) -> tuple[int, int]:
    """(surge, unavailable) in pods; Recreate takes all at once.

    As ``ResolveFenceposts`` of the Deployment controller: both zero becomes one unavailable.
    """
    if strategy.get("type") == "Recreate":
        return 0, max(1, replicas)
    rolling = strategy.get("rollingUpdate") or {}
    surge = pods_of(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = pods_of(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _digest(pem: object) -> bytes | None:
    return authority_digest(pem) if isinstance(pem, str) else None


def _log(containers: Iterable[Raw]) -> str | None:
    """The name of the log in the sidecar's environment, as the injector wrote it."""
    sidecar: Raw = next((c for c in containers if c.get("name") == CONTAINER_SIDECAR), {})
    variables = sidecar.get("env") or ()
    name = env("backplane_stream")
    return next((v.get("value") for v in variables if v.get("name") == name), None)
