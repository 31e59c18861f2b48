"""What the kernel shows of a stream's client: does it acknowledge bytes, how many are not sent?

An open stream shows little: a client that has vanished (a phone that changed networks) leaves its
stream open until a time-out. The kernel knows more (`TCP_INFO`, Linux): when the last
acknowledgement came, and how often what is in flight has been sent again.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import Final, Literal

if sys.platform != "win32":
    import fcntl
    import termios

from tidegate_sidecar.engine.stream import StreamTransport

SILENT_MS: Final = 1000
RETRANSMITS: Final = 2
"""No acknowledgement for so long although bytes in flight were sent again so often: it is gone."""

_INT: Final = struct.Struct("=i")

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


def unread_bytes(transport: StreamTransport) -> int:
    """What `transport` and the kernel hold for a client that does not read.

    The kernel takes about as much as a write before a transport holds anything, and its memory is
    the pod's, too (``SIOCOUTQ``, tcp(7)).
    """
    held = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sock is not None and sys.platform != "win32":
        with contextlib.suppress(OSError, ValueError):
            queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, _INT.pack(0))
            held += _INT.unpack(queued)[0]
    return held
