"""A native cluster leaves nothing behind, even if whoever started it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from e2e.cluster.commands import wait_until
from e2e.cluster.guard import running
from e2e.cluster.native.cluster import NativeCluster
from e2e.cluster.native.prerequisites import require
from e2e.cluster.provider import Cluster, ClusterError
from e2e.kubectl import Kubectl
from e2e.machine import Machine
from tidegate.contract.errors import MissingToolError

ROOT = Path(__file__).parent.parent
BOOT_TIMEOUT_S = 90.0
GONE_WITHIN_S = 20.0

OWNER = """
import os, sys, time
from e2e.cluster.guard import running
from e2e.cluster.providers import provider
with running(provider("native", os.environ), "native", 3):
    print("up", flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def native(prepared: Cluster) -> NativeCluster:
    """Only where the provider is the native one and nobody uses it."""
    if not isinstance(prepared, NativeCluster):
        pytest.skip("the provider is not native")
    if prepared.is_running():
        pytest.skip("a native cluster is running already")
    return prepared


@pytest.mark.e2e
@pytest.mark.first
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_nothing_is_left_behind(native: NativeCluster, end: signal.Signals) -> None:
    """Processes, mounts, devices, cgroups and sysctls are as before; with three nodes."""
    before = Machine.seen()
    argv = [sys.executable, "-c", OWNER]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert Machine.seen() != before
        owner.send_signal(end)
        owner.wait(GONE_WITHIN_S)
    wait_until("the cluster's end", lambda: not native.is_running(), timeout_s=GONE_WITHIN_S)
    wait_until("the old state", lambda: Machine.seen() == before, timeout_s=GONE_WITHIN_S)


@pytest.mark.e2e
@pytest.mark.first
@pytest.mark.timeout(1800)
def test_a_node_is_stopped_and_comes_back(native: NativeCluster) -> None:
    """Its processes are gone and then others there; stopped once more, it leaves nothing behind."""
    before = Machine.seen()
    with running(native, "native", 2):
        first, second = native.nodes()
        whole = len(Machine.seen().processes)
        native.stop_node(second)
        assert len(Machine.seen().processes) < whole
        stopped_at = datetime.now(UTC)
        native.start_node(second)
        back = partial(_last_heard_of, native, second)
        wait_until("the node", lambda: back() > stopped_at, timeout_s=BOOT_TIMEOUT_S)
        native.stop_node(second)
        with pytest.raises(ClusterError, match=rf"{first}: cannot be stopped, only {second} can"):
            native.stop_node(first)
    wait_until("the old state", lambda: Machine.seen() == before, timeout_s=GONE_WITHIN_S)


def _last_heard_of(native: NativeCluster, name: str) -> datetime:
    """When a node's kubelet renewed its Lease; a new one does so at once."""
    with native.network():
        lease = Kubectl(native.kubeconfig).get("lease", name, "--namespace=kube-node-lease")
    return datetime.fromisoformat(lease["spec"]["renewTime"])


def test_what_is_missing_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """One line, for a machine whose PATH has nothing."""
    with pytest.raises(MissingToolError, match=r"apt-get install .*containerd") as told:
        require(tmp_path / "cache", {"PATH": str(tmp_path)}, user_id=0)
    assert "\n" not in str(told.value)


def test_a_user_is_told_to_become_root(tmp_path: Path) -> None:
    """Not after half of the work."""
    with pytest.raises(MissingToolError, match="root"):
        require(tmp_path, os.environ, user_id=1000)


def test_a_cache_that_the_nodes_would_hide_is_refused() -> None:
    """/var/lib is every node's own."""
    with pytest.raises(MissingToolError, match=r"TIDEGATE_CACHE|needs"):
        require(Path("/var/lib/builder/.cache"), os.environ, user_id=0)
