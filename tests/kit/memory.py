"""Memory of another process, as Linux counts it (``/proc/PID/status``)."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Memory in use now."""
    return _field(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most it has had in use."""
    return _field(pid, "VmHWM")


def _field(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024
