"""A log within one process, for one pod and for trying things out: `log` and `acks`."""

from __future__ import annotations

from collections.abc import Callable

from tidegate_sidecar.backplane.memory.acks import MemoryAcks
from tidegate_sidecar.backplane.memory.log import MemoryLog
from tidegate_sidecar.backplane.port import Backplane


def make_memory_backplane(clock: Callable[[], float], epoch_seed: int) -> Backplane:
    """A backplane, not started. `clock` in seconds, `epoch_seed` as for `epoch_of`."""
    log = MemoryLog(clock, epoch_seed)
    return Backplane(log, MemoryAcks(clock, log.counters), log)
