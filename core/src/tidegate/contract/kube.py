"""Names inside Kubernetes objects: what injector, operator, chart and example must spell alike.

A name here is spelled nowhere else in Python; the chart and the manifests are compared with it by
a test. The keys that a person may write on a pod are in `tidegate.injection.annotations`.
"""

from __future__ import annotations

KEY_PREFIX = "tidegate.dev/"

ANNOTATION_INJECT = "tidegate.dev/inject"
"""``"true"`` on a pod template: the webhook's match condition, nothing else calls the injector."""

ANNOTATION_STATUS = "tidegate.dev/status"
"""What was injected, as JSON; also how the injector knows a pod that it has already changed."""

ANNOTATION_OPERATOR_CA = "tidegate.dev/operator-ca"
"""The CA's PEM. The pod mounts it by downward API, so a rotated CA reaches running pods too."""

LABEL_LEADER = "tidegate.dev/leader"
"""On the operator's pod that leads, for the Service that must reach it alone."""

ANNOTATION_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

CONTAINER_SIDECAR = "tidegate"
CONTAINER_PORT_STREAMS = "tidegate-sse"
CONTAINER_PORT_ADMIN = "tidegate-admin"
VOLUME_OPERATOR = "tidegate-operator"
MOUNT_OPERATOR = "/var/run/secrets/tidegate.dev"
VOLUME_AUTH = "tidegate-auth"
MOUNT_AUTH = "/var/run/tidegate/auth"
"""The keys that verify clients' tokens, from a Secret of the pod's namespace."""

FILE_TOKEN = "token"  # noqa: S105 - a file's name
FILE_CA = "ca.crt"
TOKEN_AUDIENCE = "tidegate.dev"  # noqa: S105 - an audience

INJECTED_PUBLIC_PORT = 9192
"""Streams of an injected sidecar: beside the other two ports, because 8080 is the application's."""

WEBHOOK_PORT = 9444
PATH_INJECT = "/v1/inject"

API_GROUP = "tidegate.dev"
API_VERSION = "v1alpha1"
KIND_DRAIN_POLICY = "DrainPolicy"
PLURAL_DRAIN_POLICY = "drainpolicies"
