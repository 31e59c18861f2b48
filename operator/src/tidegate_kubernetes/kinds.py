"""The kinds of objects the operator watches: where they are, how they are read, which of them.

One table for the watches, the freshness check and the chart's RBAC, which a test compares with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidegate.contract.kube import API_GROUP, API_VERSION, PLURAL_DRAIN_POLICY
from tidegate.contract.names import LABEL_INJECTED
from tidegate_kubernetes import readers
from tidegate_kubernetes.objects import (
    PodObject,
    PolicyObject,
    Raw,
    ReplicaSetObject,
    ServiceObject,
    WorkloadObject,
)

AnyObject = PodObject | ReplicaSetObject | WorkloadObject | ServiceObject | PolicyObject


@dataclass(frozen=True, slots=True)
class Kind:
    """A watched resource. `selector` filters on the server's side, so that others cost nothing."""

    group: str
    version: str
    plural: str
    read: Callable[[Raw], AnyObject]
    selector: str = ""

    def path(self, namespace: str | None = None) -> str:
        """The collection's path, of one namespace or of all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return (
            f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"
        )


PODS: Final = Kind("", "v1", "pods", readers.read_pod, f"{LABEL_INJECTED}=true")
SERVICES: Final = Kind("", "v1", "services", readers.read_service)
REPLICA_SETS: Final = Kind("apps", "v1", "replicasets", readers.read_replica_set)
DEPLOYMENTS: Final = Kind("apps", "v1", "deployments", readers.read_deployment)
STATEFUL_SETS: Final = Kind("apps", "v1", "statefulsets", readers.read_stateful_set)
DAEMON_SETS: Final = Kind("apps", "v1", "daemonsets", readers.read_daemon_set)
POLICIES: Final = Kind(API_GROUP, API_VERSION, PLURAL_DRAIN_POLICY, readers.read_policy)

KINDS: Final = (
    PODS,
    SERVICES,
    REPLICA_SETS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    POLICIES,
)
