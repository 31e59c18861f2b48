"""An application that streams by itself, on its way to Tidegate: the steps of docs/adoption.md.

Its own server of streams is the sidecar's program as an ordinary container: it ends every stream
without a word at SIGTERM and assigns no `retry:`, as servers of streams do, but it resumes by id
from the same log, so that an event lost or repeated on the way to the injected sidecar and back
would be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from e2e.rollouts.workload import Workload
from tidegate.contract.kube import CONTAINER_PORT_STREAMS
from tidegate.contract.names import ADMIN_PORT, LABEL_ADMIT, PATH_READYZ
from tidegate.contract.sidecar import env

OWN_PORT = 8080
"""Not the sidecar's: a named targetPort leads to another number in each kind of pod."""

OWN_PORT_NAME = "streams"


class Step(StrEnum):
    """How far the pod template has come."""

    BARE = "bare"
    PREPARED = "prepared"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class Adopting(Workload):
    """The workload at one step; `steered` says whether its stream Service wants the admit label.

    `backplane` is where its own server of streams finds the log that the sidecars use.
    """

    step: Step = Step.BARE
    steered: bool = False
    backplane: str = ""

    def deployment(self) -> dict[str, Any]:
        """The Deployment with this step's template."""
        deployment = Workload.deployment(self)
        if self.step is Step.ADOPTED:
            return deployment
        metadata = deployment["spec"]["template"]["metadata"]
        metadata["annotations"] = {}
        if self.step is Step.BARE:
            del metadata["labels"][LABEL_ADMIT]
        deployment["spec"]["template"]["spec"]["containers"].append(self._server_of_streams())
        return deployment

    def services(self) -> list[dict[str, Any]]:
        """Clients know the stream Service by its name and address, and those stay."""
        streams, application = Workload.services(self)
        if not self.steered:
            del streams["spec"]["selector"][LABEL_ADMIT]
            streams["spec"]["ports"][0]["targetPort"] = OWN_PORT
        return [streams, application]

    def _server_of_streams(self) -> dict[str, Any]:
        prepared = self.step is Step.PREPARED
        variables = {
            env("public_port"): str(OWN_PORT),
            env("backplane"): self.backplane,
            env("backplane_stream"): f"{self.namespace}_{self.name}",
            env("drain"): "cut",
            env("retry"): "off",
        }
        pod_name = {"fieldRef": {"fieldPath": "metadata.name"}}
        return {
            "name": "streams",
            "image": self.image,
            "imagePullPolicy": "Never",
            "env": [
                {"name": env("pod_name"), "valueFrom": pod_name},
                *({"name": name, "value": value} for name, value in variables.items()),
            ],
            "ports": [
                {
                    "name": CONTAINER_PORT_STREAMS if prepared else OWN_PORT_NAME,
                    "containerPort": OWN_PORT,
                }
            ],
            "readinessProbe": {
                "httpGet": {"path": PATH_READYZ, "port": ADMIN_PORT},
                "periodSeconds": 1,
            },
        }
