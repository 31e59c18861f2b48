"""The native provider's verbs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tools.cache import cache_directory

from e2e.cluster.commands import wait_until
from e2e.cluster.native import daemons, kernel, network, processes
from e2e.cluster.native.binaries import Binaries, build, kubernetes_version
from e2e.cluster.native.files import CONTAINERD_SOCKET, write_kubeconfig
from e2e.cluster.native.images import ctr, import_image, write_pause_image
from e2e.cluster.native.layout import MAX_NODES, PRIVATE, Layout, node_name
from e2e.cluster.native.pki import ADMIN, make_pki
from e2e.cluster.native.prerequisites import cni_directory, require
from e2e.cluster.native.readiness import Api
from e2e.cluster.netns import inside
from e2e.cluster.progress import Progress
from e2e.cluster.provider import ClusterError, one_of_the_workers

LOG_LINES = 5


class NativeCluster:
    """Kubernetes on this very machine; one at a time."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._cache = cache_directory(environment)
        self._layout = Layout(self._cache / "native")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, good inside `network`."""
        return self._layout.kubeconfigs / ADMIN

    def require(self) -> None:
        """Raise `MissingToolError` unless this machine can run it."""
        require(self._cache, self._environment, os.geteuid())

    def up(self, nodes: int) -> None:
        """Build what the cache lacks and start; raises `ClusterError` if one is running already."""
        self.require()
        if not 1 <= nodes <= MAX_NODES:
            raise ClusterError(f"nodes: must be 1 to {MAX_NODES}, is {nodes}")
        if self._anchor() is not None:
            raise ClusterError("a native cluster is running already: take it down first")
        progress = Progress()
        binaries = build(self._cache, progress)
        try:
            self._clear()
            self._start(binaries, nodes, progress)
        except BaseException as error:
            said = self._last_words()
            self.down()
            if said and isinstance(error, ClusterError):
                raise ClusterError(f"{error}\n{said}") from error
            raise

    def down(self) -> None:
        """Kill the anchor and with it everything; then undo what is outside the namespaces."""
        progress = Progress()
        anchor = self._anchor()
        if anchor is not None:
            ended = processes.end(anchor)
            progress.done(f"{ended} processes ended, and their mounts and networks with them")
        self._clear()

    def is_running(self) -> bool:
        """Whether its first process runs."""
        return self._anchor() is not None

    def status(self) -> str:
        """Whether it runs, how many nodes and processes, and its kubeconfig."""
        anchor = self._anchor()
        if anchor is None:
            return "no native cluster is running"
        version = ".".join(kubernetes_version())
        below = len(processes.descendants(anchor))
        return (
            f"native cluster, Kubernetes {version}, nodes: {self._layout.nodes}, "
            f"processes: {below}, kubeconfig: {self.kubeconfig} (inside its network only)"
        )

    def load_image(self, archive: Path) -> None:
        """Import into every node's containerd."""
        for node in range(1, self._layout.nodes + 1):
            import_image(self._layout, node, archive)

    def nodes(self) -> list[str]:
        """Their names, in order."""
        return [node_name(node) for node in range(1, self._layout.nodes + 1)]

    def stop_node(self, name: str) -> None:
        """Kill its processes and with them its network; its folder, the disk, stays."""
        node = one_of_the_workers(self.nodes(), name) + 1
        progress = Progress()
        ended = processes.end_node(self._layout, node)
        wait_until("the end of its network", lambda: not network.is_plugged(self._layout, node))
        progress.done(f"{name} stopped: {ended} processes ended")

    def start_node(self, name: str) -> None:
        """As at the start of the cluster; nothing to do for one that runs."""
        node = one_of_the_workers(self.nodes(), name) + 1
        if processes.running(self._layout.anchor(node)) is not None:
            return
        progress = Progress()
        binaries = build(self._cache, progress)
        self._start_nested(node, self._layout.nodes)
        self._start_containerd(node)
        self._wait_for_runtime(node)
        daemons.start_node(self._layout, binaries, node)
        progress.done(f"{name} started again")

    def network(self) -> AbstractContextManager[None]:
        """Node 1's network namespace, where pods, ClusterIPs and the API server are."""
        return inside(Path(f"/proc/{processes.holder(self._layout, 1)}/ns/net"))

    def _anchor(self) -> int | None:
        return processes.running(self._layout.anchor(1))

    def _clear(self) -> None:
        """Leave nothing of an earlier run, however it ended."""
        kernel.remove_cgroups()
        kernel.restore(self._layout.saved_sysctls)
        shutil.rmtree(self._layout.state, ignore_errors=True)

    def _start(self, binaries: Binaries, nodes: int, progress: Progress) -> None:
        layout = self._layout
        self._make_folders(binaries, nodes)
        make_pki(layout, nodes)
        write_kubeconfig(layout, ADMIN)
        progress.done("certificates")
        kernel.prepare(layout.saved_sysctls)
        self._start_namespaces(nodes)
        progress.done("namespaces and network")
        daemons.start_etcd(layout, binaries)
        daemons.start_apiserver(layout, binaries)
        self._start_runtimes(binaries, nodes)
        progress.done("containerd, with the pause image; etcd and the API server are starting")
        with self.network():
            api = Api(layout)
            api.wait_until_ready()
            progress.done("API server ready")
            daemons.start_controllers(layout, binaries)
            for node in range(1, nodes + 1):
                daemons.start_node(layout, binaries, node)
            api.wait_for_nodes(nodes)
            progress.done(f"{nodes} node{'s' if nodes > 1 else ''} ready")
            api.wait_for_service_accounts()
            progress.done("service accounts; the cluster takes pods")

    def _make_folders(self, binaries: Binaries, nodes: int) -> None:
        layout = self._layout
        for folder in (layout.logs, layout.anchors):
            folder.mkdir(parents=True)
        for node in range(1, nodes + 1):
            layout.node(node).mkdir()
            os.link(binaries.pause, layout.anchor(node))

    def _start_namespaces(self, nodes: int) -> None:
        layout = self._layout
        processes.start_anchor(layout.anchor(1))
        network.make_private(layout, 1)
        network.prepare_outer(layout)
        for node in range(2, nodes + 1):
            self._start_nested(node, nodes)

    def _start_nested(self, node: int, nodes: int) -> None:
        processes.start_nested_anchor(self._layout, node)
        network.make_private(self._layout, node)
        network.connect_node(self._layout, node, nodes)

    def _start_runtimes(self, binaries: Binaries, nodes: int) -> None:
        archive = self._layout.state / "pause.tar"
        write_pause_image(binaries.pause, archive)
        for node in range(1, nodes + 1):
            self._start_containerd(node)
        for node in range(1, nodes + 1):
            self._wait_for_runtime(node)
            import_image(self._layout, node, archive)

    def _start_containerd(self, node: int) -> None:
        plugins = cni_directory()
        assert plugins is not None
        # A killed one leaves its socket, which must not be taken for the new one's.
        self._runtime_socket(node).unlink(missing_ok=True)
        daemons.start_containerd(self._layout, node, plugins)

    def _wait_for_runtime(self, node: int) -> None:
        wait_until("containerd", self._runtime_socket(node).exists)
        wait_until("containerd to answer", lambda: ctr(self._layout, node, "version"))

    def _runtime_socket(self, node: int) -> Path:
        return self._layout.node(node) / "run" / Path(CONTAINERD_SOCKET).relative_to(PRIVATE["run"])

    def _last_words(self) -> str:
        """The ends of the programs' logs, to explain a start that failed."""
        parts = []
        for log in sorted(self._layout.logs.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            if lines:
                parts.append("\n".join([f"{log.name}:", *lines]))
        return "\n".join(parts)
