"""The injector's one decision: a pod comes in, a patch or a denial goes out.

Idempotent: a pod that already has its sidecar is left alone (webhooks are called again when
another one has changed the pod, and people re-create pods from what `kubectl get` printed), except
that the sidecar is put last again, because native sidecars stop in reverse order and ours must be
stopped before a mesh's proxy is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tidegate.contract import kube, names
from tidegate.injection.annotations import HUB
from tidegate.injection.checks import denials, drain_times, warnings
from tidegate.injection.hooks import application_hooks
from tidegate.injection.patch import Operation, PatchBuilder
from tidegate.injection.pods import PodObject, injected_index, metadata_map, spec_list
from tidegate.injection.requested import RequestedSettings, bad_values, read_requested, unknown_keys
from tidegate.injection.settings import InjectionSettings
from tidegate.injection.sidecar import (
    auth_volume,
    backplane_stream,
    operator_volume,
    sidecar_container,
)


@dataclass(frozen=True, slots=True)
class Injected:
    """The pod may start: the operations (RFC 6902; none where nothing is to do), and warnings."""

    patch: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """The pod must not start as it is; `reason` names the cause and the fix."""

    reason: str


def inject(
    pod: PodObject, settings: InjectionSettings, *, namespace: str, token: str
) -> Injected | Denied:
    """Decide about one pod of `namespace`, as the API server sends it at CREATE.

    `token` is fresh and random for each call: the preStop hook shows it to the sidecar, so that
    no other peer on the pod network can start a drain. It stands in the pod's spec only: in the
    hook's header and in the sidecar's variables.
    """
    annotations, labels = metadata_map(pod, "annotations"), metadata_map(pod, "labels")
    requested = read_requested(annotations, settings.defaults)
    wrong = bad_values(requested)
    if wrong:
        return Denied("; ".join(wrong))
    if requested.text("inject") != "true":
        return Injected()
    index = injected_index(pod)
    if index is not None:
        return Injected(_kept_last(pod, index))
    reasons = denials(pod, requested)
    if reasons:
        return Denied("; ".join(reasons))
    told = (*unknown_keys(annotations, labels), *warnings(pod, requested))
    return Injected(_patch(pod, namespace, requested, settings, token), told)


def _kept_last(pod: PodObject, index: int) -> tuple[Operation, ...]:
    builder = PatchBuilder(pod)
    if index != len(spec_list(pod, "initContainers")) - 1:
        builder.move_to_end(("spec", "initContainers"), index)
    return builder.operations


def _patch(
    pod: PodObject,
    namespace: str,
    requested: RequestedSettings,
    settings: InjectionSettings,
    token: str,
) -> tuple[Operation, ...]:
    builder = PatchBuilder(pod)
    builder.put(("metadata", "labels", names.LABEL_INJECTED), "true")
    annotate = ("metadata", "annotations")
    containers = spec_list(pod, "containers")
    if containers and kube.ANNOTATION_DEFAULT_CONTAINER not in metadata_map(pod, "annotations"):
        builder.put((*annotate, kube.ANNOTATION_DEFAULT_CONTAINER), containers[0]["name"])
    if requested.text("grace-s"):
        grace, _ = drain_times(pod, requested)
        builder.put(("spec", "terminationGracePeriodSeconds"), grace)
    if settings.operator_url is not None:
        if settings.operator_ca_pem is not None:
            builder.put((*annotate, kube.ANNOTATION_OPERATOR_CA), settings.operator_ca_pem)
        builder.append(("spec", "volumes"), operator_volume(pod, requested, settings))
    keys = auth_volume(requested)
    if keys is not None:
        builder.append(("spec", "volumes"), keys)
    _put_pull_secrets(builder, pod, settings)
    container = sidecar_container(pod, namespace, requested, settings, token)
    builder.append(("spec", "initContainers"), container)
    status = {"image": settings.image, "version": settings.version}
    if requested.mode == HUB:
        status["stream"] = backplane_stream(pod, namespace, requested)
    else:
        for index, hook in application_hooks(pod, int(requested.text("admin-port")), token):
            builder.put(("spec", "containers", str(index), "lifecycle", "preStop"), hook)
    builder.put((*annotate, kube.ANNOTATION_STATUS), json.dumps(status, sort_keys=True))
    return builder.operations


def _put_pull_secrets(builder: PatchBuilder, pod: PodObject, settings: InjectionSettings) -> None:
    present = {secret.get("name") for secret in spec_list(pod, "imagePullSecrets")}
    for name in settings.image_pull_secrets:
        if name not in present:
            builder.append(("spec", "imagePullSecrets"), {"name": name})
