"""The container that is added, and the volume through which it knows the operator.

A native sidecar (init container with restartPolicy Always, KEP-753): it starts before the
application, is stopped after it, and its preStop hook runs beside the application's own from the
moment the pod is deleted, so that application containers need no change.
"""

from __future__ import annotations

from typing import Any, Final

from tidegate.contract import kube, names
from tidegate.contract.settings import variable
from tidegate.contract.sidecar import env
from tidegate.injection.annotations import HUB, PROXY
from tidegate.injection.checks import drain_times, sidecar_texts
from tidegate.injection.hooks import drain_hook
from tidegate.injection.pods import PodObject, stream_name
from tidegate.injection.requested import RequestedSettings
from tidegate.injection.resources import RESOURCES, amounts
from tidegate.injection.settings import InjectionSettings

TOKEN_LIFETIME_S: Final = 3600
TOKEN_LIFETIME_IN_GRACES: Final = 5
"""A token is renewed when 80 % of its life is over and not at all while the pod terminates
(KEP-4438), so a fifth of its life must be longer than the grace period."""

STARTUP_LIMIT_S: Final = 60
LIVENESS_PERIOD_S: Final = 10
LIVENESS_FAILURES: Final = 6
"""A minute without an answer: killing the sidecar cuts every stream, so a busy one gets time."""


def sidecar_container(
    pod: PodObject,
    namespace: str,
    requested: RequestedSettings,
    settings: InjectionSettings,
    token: str,
) -> dict[str, Any]:
    """The container; `token` is what its preStop hook will have to show."""
    admin_port = int(requested.text("admin-port"))
    container: dict[str, Any] = {
        "name": kube.CONTAINER_SIDECAR,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "restartPolicy": "Always",
        "ports": [
            _port(kube.CONTAINER_PORT_STREAMS, int(requested.text("port"))),
            _port(kube.CONTAINER_PORT_ADMIN, admin_port),
        ],
        "env": _variables(pod, namespace, requested, settings, token),
        "resources": _resources(requested),
        "securityContext": _security_context(settings),
        **_probes(admin_port),
        "lifecycle": {"preStop": drain_hook(names.PATH_DRAIN_POD, admin_port, token)},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if requested.mode == PROXY:
        container["command"] = ["tidegate", "proxy"]
    mounts = []
    if settings.operator_url is not None:
        mounts.append(_mount(kube.VOLUME_OPERATOR, kube.MOUNT_OPERATOR))
    if auth_volume(requested) is not None:
        mounts.append(_mount(kube.VOLUME_AUTH, kube.MOUNT_AUTH))
    if mounts:
        container["volumeMounts"] = mounts
    return container


def auth_volume(requested: RequestedSettings) -> dict[str, Any] | None:
    """The keys that verify tokens, where the pod names a Secret.

    A volume and no variable: it follows a rotation, and a pod's spec shows variables.
    """
    name = requested.text("auth-secret") if requested.mode == HUB else ""
    return {"name": kube.VOLUME_AUTH, "secret": {"secretName": name}} if name else None


def operator_volume(
    pod: PodObject, requested: RequestedSettings, settings: InjectionSettings
) -> dict[str, Any]:
    """The projected token that identifies the pod to the operator, and the operator's CA.

    The CA comes from an annotation by downward API: a Secret of the operator's namespace cannot
    be mounted from here, and a variable could not follow a rotation.
    """
    grace, _ = drain_times(pod, requested)
    lifetime_s = max(TOKEN_LIFETIME_S, TOKEN_LIFETIME_IN_GRACES * grace)
    token = {
        "path": kube.FILE_TOKEN,
        "audience": kube.TOKEN_AUDIENCE,
        "expirationSeconds": lifetime_s,
    }
    sources: list[dict[str, Any]] = [{"serviceAccountToken": token}]
    if settings.operator_ca_pem is not None:
        field = {"fieldPath": f"metadata.annotations['{kube.ANNOTATION_OPERATOR_CA}']"}
        sources.append({"downwardAPI": {"items": [{"path": kube.FILE_CA, "fieldRef": field}]}})
    return {"name": kube.VOLUME_OPERATOR, "projected": {"sources": sources}}


def backplane_stream(pod: PodObject, namespace: str, requested: RequestedSettings) -> str:
    """The name of this application's log."""
    return requested.text("backplane-stream") or stream_name(pod, namespace)


def _variables(
    pod: PodObject,
    namespace: str,
    requested: RequestedSettings,
    settings: InjectionSettings,
    token: str,
) -> list[dict[str, Any]]:
    texts = sidecar_texts(pod, requested)
    texts["pod_token"] = token
    shared = []
    if requested.mode == HUB:
        texts["backplane_stream"] = backplane_stream(pod, namespace, requested)
        texts.pop("backplane", None)
        shared = [_backplane(requested)]
    if settings.operator_url is not None:
        texts["operator_url"] = settings.operator_url
        texts["operator_token_file"] = f"{kube.MOUNT_OPERATOR}/{kube.FILE_TOKEN}"
        if settings.operator_ca_pem is not None:
            texts["operator_ca_file"] = f"{kube.MOUNT_OPERATOR}/{kube.FILE_CA}"
    return [
        _from_field(env("pod_name"), "metadata.name"),
        _from_field(env("pod_uid"), "metadata.uid"),
        *shared,
        *({"name": variable(name), "value": text} for name, text in texts.items()),
    ]


def _backplane(requested: RequestedSettings) -> dict[str, Any]:
    """The pod's own setting wins over the cluster's, in either of its two forms."""
    secret = requested.text("backplane-secret")
    if secret and not requested.is_own("backplane"):
        source = {"secretKeyRef": {"name": secret, "key": "url"}}
        return {"name": env("backplane"), "valueFrom": source}
    return {"name": env("backplane"), "value": requested.text("backplane")}


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _mount(volume: str, path: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": path, "readOnly": True}


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _resources(requested: RequestedSettings) -> dict[str, Any]:
    both = {resource: amounts(requested, resource) for resource in RESOURCES}
    return {
        "requests": {resource: request for resource, (request, _) in both.items()},
        "limits": {resource: limit for resource, (_, limit) in both.items() if limit},
    }


def _security_context(settings: InjectionSettings) -> dict[str, Any]:
    """What the Pod Security Standard "restricted" wants, and a root that cannot be written."""
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if settings.run_as_user is not None:
        context |= {"runAsUser": settings.run_as_user, "runAsGroup": settings.run_as_user}
    return context


def _probes(admin_port: int) -> dict[str, Any]:
    """Listening is enough to let the application start; a full ring is what makes it ready.

    The port is bound before the program has loaded, so the first probe waits for it: with a
    time-out of 1 s it would fail, and the next comes a second later. Were readiness asked for at
    the start, a broker that is away would keep applications down.
    """
    listening = {"path": names.PATH_LIVEZ, "port": admin_port, "scheme": "HTTP"}
    filled = {"path": names.PATH_READYZ, "port": admin_port, "scheme": "HTTP"}
    return {
        "startupProbe": {
            "httpGet": listening,
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": STARTUP_LIMIT_S,
        },
        "readinessProbe": {
            "httpGet": filled,
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": listening,
            "periodSeconds": LIVENESS_PERIOD_S,
            "timeoutSeconds": 5,
            "failureThreshold": LIVENESS_FAILURES,
        },
    }
