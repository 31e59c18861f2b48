"""The backplane that the settings name. NATS is imported only where it is used."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from tidegate.contract.sidecar import SidecarSettings
from tidegate_sidecar.backplane.memory import make_memory_backplane
from tidegate_sidecar.backplane.port import Backplane


def make_backplane(settings: SidecarSettings, clock: Callable[[], float]) -> Backplane:
    """The backplane of `settings`, not started. `clock` in seconds, monotonic."""
    chosen, ring = settings.backplane, settings.streams
    if chosen.url == "memory":
        return make_memory_backplane(clock, epoch_seed=time.time_ns() // 1000)
    from tidegate_sidecar.backplane.jetstream import make_jetstream_backplane
    from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

    of_log = JetStreamSettings(chosen.url, chosen.stream, ring.ring_events, ring.ring_bytes)
    return make_jetstream_backplane(of_log, clock, instance=uuid.uuid4().hex)
