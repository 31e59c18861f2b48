"""Which backplane the settings name. NATS is imported only where it is used."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.contract.sidecar import SidecarSettings
from tidegate_sidecar.backplane.memory.log import MemoryBackplane
from tidegate_sidecar.backplane.port import Backplane

if TYPE_CHECKING:
    from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

_KEPT_RINGS = 2
"""The store keeps more than a ring, so that a pod that fills it races with nothing."""


def make_backplane(settings: SidecarSettings, clock: Callable[[], float]) -> Backplane:
    """The backplane of `settings`, not started. `clock` in seconds, monotonic."""
    if settings.backplane.url == "memory":
        return MemoryBackplane(clock, epoch_seed=time.time_ns() // 1000)
    from tidegate_sidecar.backplane.jetstream.log import JetStreamBackplane

    return JetStreamBackplane(log_settings(settings), clock, instance=uuid.uuid4().hex)


def log_settings(settings: SidecarSettings) -> JetStreamSettings:
    """What a JetStream backplane is told."""
    from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

    return JetStreamSettings(
        url=settings.backplane.url,
        stream=settings.backplane.stream,
        ring_events=settings.streams.ring_events,
        keep_events=settings.streams.ring_events * _KEPT_RINGS,
        keep_bytes=settings.streams.ring_bytes * _KEPT_RINGS,
    )
