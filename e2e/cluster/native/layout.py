"""Names, addresses and folders of a native cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
API_SERVICE_IP = "10.96.0.1"
OUTER_IP = "10.89.0.1"
"""Node 1, the API server and the DNS server."""

API_PORT = 6443
CLUSTER_DOMAIN = "cluster.local"
BRIDGE = "tidegate0"
PAUSE_IMAGE = "tidegate.local/pause:1"
MAX_NODES = 9

PRIVATE = {"run": "/run", "lib": "/var/lib", "log": "/var/log"}
"""What each node has for itself, by its folder under the node's."""


def node_name(node: int) -> str:
    """The Kubernetes name of a node, counted from 1."""
    return f"node{node}"


def node_ip(node: int) -> str:
    """Its address on the bridge."""
    return OUTER_IP if node == 1 else f"10.89.0.{10 + node}"


def pod_subnet(node: int) -> str:
    """The addresses of its pods."""
    return f"10.244.{node}.0/24"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a cluster under `home`; `state` is made anew by every start."""

    home: Path

    @property
    def state(self) -> Path:
        """Everything of one run."""
        return self.home / "state"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One file per program."""
        return self.state / "logs"

    @property
    def kubeconfigs(self) -> Path:
        """One file per user."""
        return self.state / "kubeconfigs"

    @property
    def anchors(self) -> Path:
        """The executables whose processes hold the namespaces."""
        return self.state / "anchors"

    @property
    def saved_sysctls(self) -> Path:
        """Outside `state`, because it must outlive a crash and the next start."""
        return self.home / "sysctls.json"

    def node(self, node: int) -> Path:
        """A node's own folder."""
        return self.state / node_name(node)

    def anchor(self, node: int) -> Path:
        """The executable of the process that holds a node's namespaces."""
        return self.anchors / node_name(node)

    @property
    def nodes(self) -> int:
        """How many nodes this run has; 0 when there is none."""
        return len(list(self.anchors.glob("node*")))
