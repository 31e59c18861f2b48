"""Settings cut down to what the machine allows: file descriptors, and the container's memory."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from tidegate.contract.sidecar import SidecarSettings, env

_MIB: Final = 2**20

BESIDE_BYTES: Final = 160 * _MIB
"""Memory that neither ring nor streams use: 55 MiB of a process that has just started, 50 MiB for
the bodies of the publish port, and the public port's connections that are no streams."""

RING_FACTOR: Final = 1.5
"""Memory of the ring over the bytes it holds: an entry is more than its text."""

LEAST_SHARE: Final = 8
"""Streams get one part in so many of the memory limit, however large the ring is."""

_log = logging.getLogger("tidegate.process")


def within(
    settings: SidecarSettings, most_streams: int, memory_limit: int | None
) -> SidecarSettings:
    """`settings` with no more streams than there are descriptors for, and no more memory for them
    than `memory_limit` (bytes; ``None``: no limit) leaves beside the ring.
    """
    limits = settings.limits
    streams = min(limits.max_streams, most_streams)
    memory = limits.max_stream_bytes
    if memory_limit is not None:
        ring = round(settings.streams.ring_bytes * RING_FACTOR)
        least = max(_MIB, memory_limit // LEAST_SHARE)
        memory = min(memory, max(least, memory_limit - ring - BESIDE_BYTES))
    if memory < limits.max_stream_bytes:
        _log.warning(
            "%s is %d MiB, but the container's memory limit of %d MiB leaves %d MiB for streams",
            *(env("max_stream_bytes"), limits.max_stream_bytes // _MIB),
            *((memory_limit or 0) // _MIB, memory // _MIB),
        )
    return replace(settings, limits=replace(limits, max_streams=streams, max_stream_bytes=memory))
