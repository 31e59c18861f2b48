"""Socket options set once on the listening socket; Linux hands them to every accepted one.

So a stream costs no system call for them. A client that has vanished is found by the bytes it
does not acknowledge (TCP_USER_TIMEOUT, RFC 5482): keepalive is silent while a heartbeat is in
flight, and retransmissions alone go on for 16 minutes. Where an option is unknown (other systems)
it is left out: write timeout and heartbeat still find dead peers, only later.
"""

from __future__ import annotations

import socket

KEEPALIVE_IDLE_S = 30
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES = 3

UNSENT_BYTES = 64 * 1024
"""What the kernel takes beyond what it can send (TCP_NOTSENT_LOWAT). A stalled stream's events
then wait in the ring, where all streams share them, and not as a copy per socket."""


USER_TIMEOUT_FACTOR = 1.25
"""Times the write time-out, so that a client that is there and does not read is ended first."""


def tune_listener(listener: socket.socket, write_timeout_s: float) -> None:
    """Set keepalive, the time for acknowledgements and the bound on unsent bytes.

    `listener` is a listening TCP socket; bytes that are not acknowledged for a quarter more than
    `write_timeout_s` end their connection.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_NOTSENT_LOWAT", UNSENT_BYTES),
        ("TCP_USER_TIMEOUT", round(write_timeout_s * USER_TIMEOUT_FACTOR * 1000)),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
