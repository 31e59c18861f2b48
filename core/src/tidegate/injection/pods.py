"""Looks into a pod as the API server sends it: absent and null lists are empty ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate.contract import kube
from tidegate.contract.sidecar import env

PodObject = dict[str, Any]

DEFAULT_GRACE_S: Final = 30
"""terminationGracePeriodSeconds of a pod that sets none (Kubernetes' own default)."""

_STREAM_NAME_LENGTH: Final = 64
_HASH_LABELS: Final = ("pod-template-hash", "rollouts-pod-template-hash")


def metadata_map(pod: PodObject, name: str) -> Mapping[str, str]:
    """``metadata.labels`` or ``metadata.annotations``."""
    return (pod.get("metadata") or {}).get(name) or {}


def spec_list(pod: PodObject, name: str) -> list[dict[str, Any]]:
    """``spec.containers``, ``spec.initContainers``, ``spec.volumes`` …"""
    return (pod.get("spec") or {}).get(name) or []


def long_running(pod: PodObject) -> list[dict[str, Any]]:
    """Containers that run beside the sidecar: the app's and other native sidecars."""
    sidecars = [c for c in spec_list(pod, "initContainers") if c.get("restartPolicy") == "Always"]
    return [*spec_list(pod, "containers"), *sidecars]


def injected_index(pod: PodObject) -> int | None:
    """Where in the init containers our sidecar already is, ``None`` where it is not."""
    if kube.ANNOTATION_STATUS not in metadata_map(pod, "annotations"):
        return None
    for index, container in enumerate(spec_list(pod, "initContainers")):
        variables = {variable.get("name") for variable in container.get("env") or []}
        if container.get("name") == kube.CONTAINER_SIDECAR and env("pod_token") in variables:
            return index
    return None


def grace_s(pod: PodObject) -> int:
    """The pod's terminationGracePeriodSeconds."""
    seconds = (pod.get("spec") or {}).get("terminationGracePeriodSeconds")
    return DEFAULT_GRACE_S if seconds is None else int(seconds)


def stream_name(pod: PodObject, namespace: str) -> str:
    """The default name of an application's log: namespace and workload, of 0-9 A-Z a-z _ -.

    All pods of a workload share it over all its revisions, so the template's hash is cut off. A
    name that is too long is cut and ends in a digest, so that two long ones stay different.
    """
    plain = re.sub(r"[^0-9A-Za-z_-]", "_", f"{namespace}_{_workload_name(pod)}")
    if len(plain) <= _STREAM_NAME_LENGTH:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()[:10]
    return f"{plain[: _STREAM_NAME_LENGTH - 11]}-{digest}"


def job_name(pod: PodObject) -> str | None:
    """The name of the Job that the pod belongs to; a CronJob makes one for each run."""
    owner = _controller(pod)
    return str(owner["name"]) if owner is not None and owner.get("kind") == "Job" else None


def _controller(pod: PodObject) -> Mapping[str, Any] | None:
    owners = (pod.get("metadata") or {}).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def _workload_name(pod: PodObject) -> str:
    metadata = pod.get("metadata") or {}
    owner = _controller(pod)
    name = "" if owner is None else str(owner["name"])
    name = name or metadata.get("name") or str(metadata.get("generateName") or "").rstrip("-")
    labels = metadata_map(pod, "labels")
    for label in _HASH_LABELS:
        name = name.removesuffix(f"-{labels[label]}") if label in labels else name
    return name or "pod"
