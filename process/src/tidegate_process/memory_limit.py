"""The memory that a container may use: beyond it the kernel ends the process without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")


def memory_limit_bytes(cgroup: Path = CGROUP) -> int | None:
    """The limit of this process's container, ``None`` without one (cgroup v2, ``memory.max``)."""
    try:
        return int((cgroup / "memory.max").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
