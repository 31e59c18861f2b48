"""The bounds of the port that clients reach, from the settings of streams.

They hold for what is no stream: connections without a whole request yet, acknowledgements, the page
for people.
"""

from __future__ import annotations

from typing import Final

from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate_process.limits import PortLimits

CONNECTIONS: Final = 8192
"""Twice what the kernel holds for a busy loop: a fleet that comes back after a crash."""


def port_limits(streams: StreamSettings, limits: Limits) -> PortLimits:
    """The bounds of the public port of a pod with these settings."""
    return PortLimits(
        connections=CONNECTIONS,
        head_bytes=limits.max_header_bytes,
        head_s=streams.header_timeout_s,
        write_s=streams.write_timeout_s,
        request_s=streams.header_timeout_s,
        body_bytes=_BODY_BYTES,
    )


_BODY_BYTES: Final = 4 * 2**20
"""An acknowledgement's body has at most 1 KiB; others are not read."""
