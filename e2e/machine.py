"""What a cluster could leave behind on the machine, as a picture to compare before and after."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tools.cache import cache_directory

from e2e.cluster.native.kernel import CONTAINERS, SYSCTLS


@dataclass(frozen=True, slots=True)
class Machine:
    """Programs out of the cache, mounts, network devices, containers' cgroups and sysctls."""

    processes: tuple[str, ...]
    mounts: tuple[str, ...]
    devices: tuple[str, ...]
    cgroups: tuple[str, ...]
    sysctls: tuple[str, ...]

    @classmethod
    def seen(cls) -> Machine:
        """As it is now."""
        groups = Path("/sys/fs/cgroup")
        return cls(
            processes=tuple(sorted(_programs(cache_directory(os.environ)))),
            mounts=tuple(Path("/proc/self/mounts").read_text().splitlines()),
            devices=tuple(sorted(os.listdir("/sys/class/net"))),
            cgroups=tuple(sorted(str(p) for p in groups.glob(f"**/{CONTAINERS}"))),
            sysctls=tuple(f"{s}={Path('/proc/sys', s).read_text().strip()}" for s in SYSCTLS),
        )


def signal_container(identifier: str, number: signal.Signals) -> int:
    """Send a signal to everything in a container, from outside; returns to how many processes.

    `identifier` is what a pod's status says (``containerd://...``); the kernel has it in the names
    of the container's cgroups. From inside, process 1 of a container cannot be killed or stopped.
    """
    name = identifier.rpartition("/")[2]
    reached = 0
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and name in Path(f"/proc/{entry}/cgroup").read_text():
                os.kill(int(entry), number)
                reached += 1
    return reached


def kill_container(identifier: str) -> int:
    """SIGKILL everything in a container; returns how many processes it was."""
    return signal_container(identifier, signal.SIGKILL)


def _programs(cache: Path) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                program = os.readlink(f"/proc/{entry}/exe")
            except OSError:
                continue
            if program.startswith(str(cache)) or program == "/usr/bin/containerd":
                found.append(program)
    return found
