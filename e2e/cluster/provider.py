"""What every provider of a cluster offers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tidegate.contract.errors import TidegateError


class ClusterError(TidegateError):
    """Raised when a cluster does not come up, go down or take an image."""


def one_of_the_workers(nodes: Sequence[str], name: str) -> int:
    """The place of a node that may be stopped; raises `ClusterError` with those that may."""
    if name not in nodes[1:]:
        raise ClusterError(f"node {name}: cannot be stopped, only {', '.join(nodes[1:])} can")
    return nodes.index(name)


class Cluster(Protocol):
    """One cluster on this machine. Every method may be called again without harm."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; its server is reachable inside `network`."""

    def require(self) -> None:
        """Raise `MissingToolError` with one line that says what is missing and how to get it."""

    def up(self, nodes: int) -> None:
        """Start with `nodes` nodes, ready for pods; on failure or Ctrl-C nothing stays behind."""

    def down(self) -> None:
        """Take everything away again, also what a crash has left."""

    def is_running(self) -> bool:
        """Whether there is one, whoever started it."""

    def status(self) -> str:
        """One line: is it running, and with what."""

    def load_image(self, archive: Path) -> None:
        """Give every node the image of an OCI or Docker archive, under the name it carries."""

    def nodes(self) -> list[str]:
        """The Kubernetes names of its nodes, the control plane's first; stopped ones, too."""

    def stop_node(self, name: str) -> None:
        """Kill every process of a node, as a machine that loses its power; its disk stays.

        Raises `ClusterError` for the control plane and for a name that is none.
        """

    def start_node(self, name: str) -> None:
        """Start a stopped node again, on its old disk; whether it is Ready says the API."""

    def network(self) -> AbstractContextManager[None]:
        """Put the calling thread, and what it starts, where ClusterIPs and pods are reachable."""
