"""Socket options set once on the listening socket; Linux hands them to every accepted one.

So a stream costs no system call for them. Where an option is unknown (other systems) it is left
out: write timeout and heartbeat still find dead peers, only later.
"""

from __future__ import annotations

import socket

KEEPALIVE_IDLE_S = 30
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES = 3

UNSENT_BYTES = 64 * 1024
"""What the kernel takes beyond what it can send (TCP_NOTSENT_LOWAT). A stalled stream's events
then wait in the ring, where all streams share them, and not as a copy per socket."""


def tune_listener(listener: socket.socket) -> None:
    """Set keepalive and the bound on unsent bytes on a listening TCP socket."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_NOTSENT_LOWAT", UNSENT_BYTES),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
