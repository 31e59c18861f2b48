"""The workload that is rolled out: a Deployment or StatefulSet, its stream Service and its own.

The three modes differ in the annotations of the pod template and in nothing else. Stock is the
same sidecar ending every stream without a word at SIGTERM and assigning no `retry:`; its operator
is off (`e2e.rollouts.measure`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.relay import STARTED
from tidegate.contract.kube import (
    ANNOTATION_INJECT,
    API_GROUP,
    API_VERSION,
    CONTAINER_PORT_STREAMS,
    KEY_PREFIX,
    KIND_DRAIN_POLICY,
)
from tidegate.contract.names import (
    LABEL_ADMIT,
    MODE_STOCK,
    MODE_STOCK_SLEEP,
    MODE_TIDEGATE,
    PUBLISH_PORT,
)

RELAY = Path(__file__).parent.parent / "relay.py"
APP_PORT = 8000
STOCK_SLEEP_S = 5
STABLE, CANARY = "stable", "canary"
DEPLOYMENT, STATEFUL_SET, RECREATE = "Deployment", "StatefulSet", "Recreate"
"""Kinds of workloads; the last one is a Deployment with that strategy."""

START_LIMIT_S = 60
DEFAULT_STRATEGY = {"maxSurge": "25%", "maxUnavailable": "25%"}


def _probe(path: str) -> dict[str, Any]:
    """A busy machine may be slow to answer; what is meant to fail answers at once."""
    where = {"path": path, "port": APP_PORT}
    return {"httpGet": where, "periodSeconds": 1, "timeoutSeconds": 5}


def _one_by_one() -> dict[str, Any]:
    return {"maxSurge": 1, "maxUnavailable": 0}


@dataclass(frozen=True, slots=True)
class Workload:
    """How it is shaped. `image` holds Python and runs the application; durations in seconds.

    `annotations` are added to the template's, `pod` to its pod's spec, `stream_service` to that
    Service's and `drain_policy` to that of the DrainPolicy. A `track` tells Deployments behind the
    same Services apart: the stable one, a canary. With `shared_processes` one container can kill
    another's; with `probed_for_life` the application has a liveness probe; `spread` puts as many
    pods on each node that may take any.
    """

    image: str
    mode: str = MODE_TIDEGATE
    name: str = "shop"
    namespace: str = "e2e"
    pods: int = 5
    min_ready_s: int = 5
    grace_s: int = 60
    budget_per_s: float = 40.0
    strategy: dict[str, Any] = field(default_factory=_one_by_one)
    kind: str = DEPLOYMENT
    annotations: dict[str, str] = field(default_factory=dict)
    admit: bool = True
    probed_for_life: bool = False
    shared_processes: bool = False
    spread: bool = False
    pod: dict[str, Any] = field(default_factory=dict)
    stream_service: dict[str, Any] = field(default_factory=dict)
    drain_policy: dict[str, Any] = field(default_factory=dict)
    track: str | None = None

    @property
    def selector(self) -> str:
        """Which pods are this workload's."""
        return f"app={self.name}"

    @property
    def deployment_name(self) -> str:
        """What rolls."""
        return self.name if self.track in (None, STABLE) else f"{self.name}-{self.track}"

    @property
    def stream_service_name(self) -> str:
        """The Service that clients connect to."""
        return f"{self.name}-sse"

    def documents(self) -> list[dict[str, Any]]:
        """Everything to apply."""
        return [self.config(), self.deployment(), *self.services(), self.policy()]

    def config(self) -> dict[str, Any]:
        """The application's source."""
        files = {RELAY.name: RELAY.read_text()}
        return {**self._head("v1", "ConfigMap", f"{self.name}-source"), "data": files}

    def deployment(self) -> dict[str, Any]:
        """The Deployment with its annotated template."""
        labels = {"app": self.name} | ({} if self.track is None else {"track": self.track})
        template = {
            "metadata": {
                "labels": {**labels, LABEL_ADMIT: "true"} if self.admit else labels,
                "annotations": {ANNOTATION_INJECT: "true", **self._mode(), **self.annotations},
            },
            "spec": self._pod(),
        }
        spec = {
            "replicas": self.pods,
            "minReadySeconds": self.min_ready_s,
            "selector": {"matchLabels": labels},
            **self._strategy(),
            "template": template,
        }
        kind = STATEFUL_SET if self.kind == STATEFUL_SET else DEPLOYMENT
        return {**self._head("apps/v1", kind, self.deployment_name), "spec": spec}

    def _strategy(self) -> dict[str, Any]:
        if self.kind == STATEFUL_SET:
            # All pods of the first revision at once; its rolling update stays one by one.
            return {"serviceName": self.name, "podManagementPolicy": "Parallel"}
        if self.kind == RECREATE:
            return {"strategy": {"type": "Recreate"}}
        return {"strategy": {"type": "RollingUpdate", "rollingUpdate": self.strategy}}

    @property
    def reference(self) -> str:
        """What rolls, as kubectl takes it."""
        kind = STATEFUL_SET if self.kind == STATEFUL_SET else DEPLOYMENT
        return f"{kind.lower()}/{self.deployment_name}"

    def services(self) -> list[dict[str, Any]]:
        """The stream Service, as every owner writes it, and the application's own."""
        admitted = {LABEL_ADMIT: "true"} if self.admit else {}
        streams = {
            "selector": {"app": self.name, **admitted},
            "ports": [{"name": "sse", "port": 80, "targetPort": CONTAINER_PORT_STREAMS}],
            **self.stream_service,
        }
        application = {
            "selector": {"app": self.name},
            "ports": [{"name": "http", "port": 80, "targetPort": APP_PORT}],
        }
        return [
            {**self._head("v1", "Service", self.stream_service_name), "spec": streams},
            {**self._head("v1", "Service", self.name), "spec": application},
        ]

    def policy(self) -> dict[str, Any]:
        """How fast its streams may be moved."""
        head = self._head(f"{API_GROUP}/{API_VERSION}", KIND_DRAIN_POLICY, self.name)
        selector = {"matchLabels": {"app": self.name}}
        spec = {"selector": selector, "budgetPerSecond": self.budget_per_s, **self.drain_policy}
        return {**head, "spec": spec}

    def _pod(self) -> dict[str, Any]:
        folder = f"/{self.name}"
        probe = _probe("/")
        container: dict[str, Any] = {
            "name": "app",
            "image": self.image,
            "imagePullPolicy": "Never",
            "command": ["python", f"{folder}/{RELAY.name}", str(APP_PORT), str(PUBLISH_PORT)],
            "ports": [{"containerPort": APP_PORT}],
            "readinessProbe": probe,
            "volumeMounts": [{"name": "source", "mountPath": folder}],
        }
        if self.probed_for_life:
            # Python alone may take longer to start than one failure of the liveness probe allows.
            # After a restart the kubelet can call a container ready before it has asked whether it
            # started (seen with 1.36), so what fails the liveness must not fail this one.
            container["startupProbe"] = {**_probe(STARTED), "failureThreshold": START_LIMIT_S}
            container["livenessProbe"] = {**probe, "failureThreshold": 1}
        source = {"name": "source", "configMap": {"name": f"{self.name}-source"}}
        return {
            "terminationGracePeriodSeconds": self.grace_s,
            "shareProcessNamespace": self.shared_processes,
            "containers": [container],
            "volumes": [source],
            **({"topologySpreadConstraints": [self._evenly()]} if self.spread else {}),
            **self.pod,
        }

    def _evenly(self) -> dict[str, Any]:
        """`Honor`: a cordoned node, where none can be, must not hold up the others."""
        return {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": {"app": self.name}},
        }

    def _mode(self) -> dict[str, str]:
        if self.mode == MODE_TIDEGATE:
            return {}
        assert self.mode in (MODE_STOCK, MODE_STOCK_SLEEP)
        annotations = {f"{KEY_PREFIX}drain": "cut", f"{KEY_PREFIX}retry": "off"}
        if self.mode == MODE_STOCK_SLEEP:
            annotations[f"{KEY_PREFIX}prestop-sleep-s"] = str(STOCK_SLEEP_S)
        return annotations

    def _head(self, version: str, kind: str, name: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": metadata}
