"""The cluster's processes: finding them, starting them inside its namespaces, ending them.

A process is recognised by the file it runs: the anchors are hard links of `pause` in the cluster's
own folder, so no pid is ever written down and a crash leaves nothing to be confused by. All other
processes are the anchor's descendants (containers have pid namespaces of their own, so going by
parents is the only way that finds them all).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.commands import run, wait_until
from e2e.cluster.native.layout import Layout
from e2e.cluster.native.prerequisites import search_path
from e2e.cluster.provider import ClusterError

_DELETED = " (deleted)"
END_TIMEOUT_S = 30.0


def running(executable: Path) -> int | None:
    """The pid of the process that runs this very file, ``None`` if there is none."""
    for pid in _pids():
        if _executable(pid).removesuffix(_DELETED) == str(executable):
            return pid
    return None


def holder(layout: Layout, node: int) -> int:
    """The pid of the anchor of a node; raises `ClusterError` if it is not running."""
    pid = running(layout.anchor(node))
    if pid is None:
        raise ClusterError(f"node {node} is not running")
    return pid


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    return _below([pid])


def _below(pids: Sequence[int]) -> list[int]:
    parents = {child: parent for child in _pids() if (parent := _parent(child)) is not None}
    found = set(pids)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def entering(layout: Layout, node: int) -> list[str]:
    """The words that run a program inside a node's namespaces."""
    target = f"--target={holder(layout, node)}"
    return ["nsenter", target, "--net", "--mount", "--pid", "--ipc", "--wd=/", "--"]


def start(layout: Layout, node: int, name: str, argv: Sequence[str | Path]) -> None:
    """Start a daemon on a node; it becomes the anchor's child and writes to ``logs/NAME.log``."""
    log = layout.logs / f"{name}.log"
    redirected = f'exec "$@" >{log} 2>&1 </dev/null'
    words = ["setsid", "--fork", "sh", "-c", redirected, name, *map(str, argv)]
    run([*entering(layout, node), *words], env=daemon_environment())


def daemon_environment() -> dict[str, str]:
    """PATH and nothing else: a proxy or locale of the caller has no business in the cluster."""
    return {"PATH": search_path(os.environ)}


def start_anchor(executable: Path) -> None:
    """Start process 1 of the cluster's own pid, network, mount and ipc namespaces."""
    namespaces = ["--pid", "--fork", "--mount-proc", "--net", "--ipc", "--mount"]
    argv: list[str | Path] = [
        "setsid",
        "--fork",
        "unshare",
        *namespaces,
        "--propagation",
        "private",
        executable,
    ]
    run(argv, env=daemon_environment(), detached=True)
    wait_until("the anchor", lambda: running(executable))


def start_nested_anchor(layout: Layout, node: int) -> None:
    """Start the process that holds a further node's network and mount namespace."""
    namespaces = ["--net", "--mount", "--propagation", "private"]
    argv: list[str | Path] = ["unshare", *namespaces, layout.anchor(node)]
    start(layout, 1, f"anchor-{node}", argv)
    wait_until(f"the anchor of node {node}", lambda: running(layout.anchor(node)))


def end(pid: int) -> int:
    """SIGKILL process 1 of a pid namespace, wait for all below it; returns how many there were."""
    below = descendants(pid)
    _kill(pid)
    wait_until(
        "the end of all processes", lambda: not any(map(_lives, below)), timeout_s=END_TIMEOUT_S
    )
    return len(below)


def end_node(layout: Layout, node: int) -> int:
    """SIGKILL everything on a nested node, its anchor last; returns how many there were.

    Its processes are those in the anchor's mount namespace (containerd, its shims, kubelet,
    kube-proxy) and all below them (containers). What one of them started meanwhile is found by
    looking again. With the anchor go the node's network and its mounts.
    """
    anchor = holder(layout, node)
    ended = set[int]()

    def emptied() -> bool:
        found = set(_on_node(anchor)) - {anchor}
        ended.update(found)
        for pid in found:
            _kill(pid)
        return not found

    wait_until("the end of the node's processes", emptied, timeout_s=END_TIMEOUT_S, step_s=0.02)
    _kill(anchor)
    wait_until("the end of the node", lambda: not _lives(anchor), timeout_s=END_TIMEOUT_S)
    return len(ended) + 1


def _on_node(anchor: int) -> list[int]:
    mounts = _mount_namespace(anchor)
    seeds = [pid for pid in _pids() if _lives(pid) and _mount_namespace(pid) == mounts]
    return [pid for pid in _below(seeds) if _lives(pid)]


def _mount_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def _lives(pid: int) -> bool:
    """Whether it still runs something; one that only waits to be reaped does not."""
    return _executable(pid) != ""
