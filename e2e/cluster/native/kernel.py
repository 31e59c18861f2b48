"""What a cluster leaves outside its namespaces, and putting it back: cgroups and sysctls."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.cluster.commands import wait_until

SYSCTLS = (
    "fs/inotify/max_user_instances",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""Those that the kubelet (cm.setupKernelTunables) or `prepare` changes for the whole machine."""

INOTIFY_INSTANCES = 1024
"""A node needs some hundred; distributions give 128."""

_PROC = Path("/proc/sys")
_CGROUPS = Path("/sys/fs/cgroup")
CONTAINERS = "k8s.io"
"""With cgroupsPerQOS off containerd puts every container under this group, in every hierarchy."""


def prepare(saved: Path) -> None:
    """Remember the sysctls, then allow enough inotify instances. An older record is kept."""
    if not saved.exists():
        values = {name: (_PROC / name).read_text().strip() for name in SYSCTLS}
        saved.write_text(json.dumps(values, indent=2) + "\n")
    (_PROC / "fs/inotify/max_user_instances").write_text(str(INOTIFY_INSTANCES))


def restore(saved: Path) -> None:
    """Put the sysctls back as they were before `prepare`."""
    if saved.exists():
        for name, value in json.loads(saved.read_text()).items():
            (_PROC / name).write_text(value)
        saved.unlink()


def remove_cgroups() -> None:
    """Remove the containers' cgroups; the kernel may call them busy for some milliseconds more."""
    wait_until("the containers' cgroups to be empty", _remove_cgroups, timeout_s=10, step_s=0.05)


def _remove_cgroups() -> bool:
    groups = [*_CGROUPS.glob(CONTAINERS), *_CGROUPS.glob(f"*/{CONTAINERS}")]
    for group in groups:
        below = [path for path in group.rglob("*") if path.is_dir()]
        for path in sorted(below, key=lambda p: len(p.parts), reverse=True):
            path.rmdir()
        group.rmdir()
    return True
