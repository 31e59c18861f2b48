"""A NATS of the application's own, which `helm uninstall` does not take away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from e2e.rollouts.workload import Workload
from tidegate.contract.kube import KEY_PREFIX

BROKER = "nats"
PORT = 4222


def own_backplane(namespace: str) -> dict[str, str]:
    """The annotation of a pod template that names it."""
    return {f"{KEY_PREFIX}backplane": f"nats://{BROKER}.{namespace}.svc:{PORT}"}


@dataclass(frozen=True, slots=True)
class WithOwnBroker(Workload):
    """The workload and its broker; `broker_image` holds ``nats-server``."""

    broker_image: str = field(kw_only=True)

    def documents(self) -> list[dict[str, Any]]:
        """Everything to apply."""
        labels = {"app": BROKER}
        container = {
            "name": BROKER,
            "image": self.broker_image,
            "imagePullPolicy": "Never",
            "args": ["--jetstream", "--store_dir=/data", f"--port={PORT}"],
            "ports": [{"containerPort": PORT}],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]},
        }
        broker = {"selector": {"matchLabels": labels}, "template": template}
        service = {"selector": labels, "ports": [{"name": BROKER, "port": PORT}]}
        return [
            {**self._head("apps/v1", "Deployment", BROKER), "spec": broker},
            {**self._head("v1", "Service", BROKER), "spec": service},
            *Workload.documents(self),
        ]
