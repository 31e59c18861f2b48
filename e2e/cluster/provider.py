"""What every provider of a cluster offers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tidegate.contract.errors import TidegateError


class ClusterError(TidegateError):
    """Raised when a cluster does not come up, go down or take an image."""


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

    def network(self) -> AbstractContextManager[None]:
        """Put the calling thread, and what it starts, where ClusterIPs and pods are reachable."""
