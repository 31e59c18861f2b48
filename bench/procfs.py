"""CPU time and memory of a process and its children, read from /proc (Linux)."""

from __future__ import annotations

from pathlib import Path


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of the process tree have used."""
    total_ns = 0
    for process in _tree(pid):
        for schedstat in Path(f"/proc/{process}/task").glob("*/schedstat"):
            total_ns += int(schedstat.read_text().split()[0])
    return total_ns / 1e9


def rss_kb(pid: int) -> int:
    """Resident memory of the process tree in kB."""
    total = 0
    for process in _tree(pid):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def _tree(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _tree(int(child))
    return found
