"""Whether a stream's client is still there, as its kernel shows it: does it acknowledge bytes?

An open stream shows little: a client that has vanished (a phone that changed networks) leaves its
stream open until a time-out. The kernel knows more (`TCP_INFO`, Linux): when the last
acknowledgement came, and how often what is in flight has been sent again.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, Literal

from tidegate_sidecar.engine.stream import StreamTransport

SILENT_MS: Final = 1000
RETRANSMITS: Final = 2
"""No acknowledgement for so long although bytes in flight were sent again so often: it is gone."""

Liveness = Literal["live", "silent", "unsure"]

_TCP_INFO: Final = struct.Struct("=8B13I")
"""The beginning of Linux' `struct tcp_info` (linux/tcp.h), up to `tcpi_last_ack_recv`."""


def liveness(transport: StreamTransport) -> Liveness:
    """Whether the client at the other end has acknowledged what it was sent; send something first.

    `unsure`: it has not yet. Where the kernel cannot be asked, `live`.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(socket, "TCP_INFO"):
        return "live"
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        fields = _TCP_INFO.unpack(info)
    except (OSError, struct.error):
        return "live"
    retransmits, unacked, last_ack_ms = fields[2], fields[12], fields[20]
    if not unacked:
        return "live"
    if retransmits >= RETRANSMITS and last_ack_ms >= SILENT_MS:
        return "silent"
    return "unsure"
