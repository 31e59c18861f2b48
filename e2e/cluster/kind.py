"""The kind provider: Kubernetes in Docker containers, for machines with a Docker engine.

A node is a container, so its network namespace is where pods and ClusterIPs are reachable, just as
with the native provider; entering it takes root.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tools.cache import cache_directory

from e2e.cluster.commands import run
from e2e.cluster.netns import inside
from e2e.cluster.progress import Progress
from e2e.cluster.provider import ClusterError, one_of_the_workers
from tidegate.contract.errors import MissingToolError

NAME = "tidegate-e2e"
CONFIG = Path(__file__).parent / "kind.yaml"
START_TIMEOUT_S = 600.0
_CONTROL_PLANE = f"{NAME}-control-plane"
_WORKER = "  - role: worker\n"


class KindCluster:
    """A kind cluster called ``tidegate-e2e``."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._folder = cache_directory(environment) / "kind"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, good inside `network`."""
        return self._folder / "kubeconfig"

    def require(self) -> None:
        """Raise `MissingToolError` without kind, Docker, Linux or root."""
        missing = [name for name in ("kind", "docker") if shutil.which(name) is None]
        if missing:
            raise MissingToolError(
                f"the kind cluster needs {' and '.join(missing)}: see kind's quick start, "
                "https://kind.sigs.k8s.io, or use --provider native"
            )
        if sys.platform != "linux" or os.geteuid() != 0:
            raise MissingToolError(
                "the kind cluster's network is entered as root on Linux: run it with sudo -E"
            )

    def up(self, nodes: int) -> None:
        """Create it; raises `ClusterError` if there is one already."""
        self.require()
        progress = Progress()
        progress.starting("creating a kind cluster")
        config = CONFIG.read_text() + _WORKER * (nodes - 1)
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.is_running():
            raise ClusterError("a kind cluster is running already: take it down first")
        try:
            words: list[str | Path] = [
                "--config",
                "-",
                "--wait",
                "120s",
                "--kubeconfig",
                self._folder / "outside",
            ]
            self._kind("create", "cluster", *words, stdin=config)
            internal = self._kind("get", "kubeconfig", "--internal")
            self.kubeconfig.touch(mode=0o600)
            self.kubeconfig.write_text(internal.replace(f"{_CONTROL_PLANE}:", "127.0.0.1:"))
        except BaseException:
            self.down()
            raise
        progress.done("the cluster takes pods")

    def down(self) -> None:
        """Delete it."""
        if self.is_running():
            self._kind("delete", "cluster")
        shutil.rmtree(self._folder, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether kind knows the cluster."""
        return shutil.which("kind") is not None and NAME in run(["kind", "get", "clusters"]).split()

    def status(self) -> str:
        """Whether it exists, and its kubeconfig."""
        if not self.is_running():
            return "no kind cluster is running"
        return f"kind cluster {NAME}, kubeconfig: {self.kubeconfig} (inside its network only)"

    def load_image(self, archive: Path) -> None:
        """Import into every node."""
        self._kind("load", "image-archive", archive)

    def nodes(self) -> list[str]:
        """The names of its containers, which are those of the Kubernetes nodes."""
        found = self._kind("get", "nodes").split()
        return sorted(found, key=lambda name: (name != _CONTROL_PLANE, name))

    def stop_node(self, name: str) -> None:
        """Kill the node's container."""
        one_of_the_workers(self.nodes(), name)
        run(["docker", "kill", name])

    def start_node(self, name: str) -> None:
        """Start the node's container again."""
        one_of_the_workers(self.nodes(), name)
        run(["docker", "start", name])

    def network(self) -> AbstractContextManager[None]:
        """The control-plane node's network namespace."""
        pid = run(["docker", "inspect", "--format", "{{.State.Pid}}", _CONTROL_PLANE]).strip()
        return inside(Path(f"/proc/{pid}/ns/net"))

    def _kind(self, *words: str | Path, stdin: str | None = None) -> str:
        argv = ["kind", *words, "--name", NAME]
        return run(argv, stdin=stdin, timeout_s=START_TIMEOUT_S)
