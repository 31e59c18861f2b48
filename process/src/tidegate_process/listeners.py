"""Binds ports, before anything that takes long to import.

From then on the kernel accepts connections, and a probe that comes while the program still loads
is answered as soon as it can be, instead of being refused and sent again a second later.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from tidegate.contract.errors import SettingsError

BACKLOG: Final = 4096
"""Connections the kernel holds while the loop is busy; a restarted pod gets a fleet's worth."""


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; raises `SettingsError` that names `setting`. Port 0 is any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, because asyncio sets TCP_NODELAY only on those; without it answers
    # in two parts wait 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Listening now and not only when uvicorn starts shows a taken port at once, also one that
        # another process has bound with SO_REUSEADDR.
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        detail = f"cannot listen on {host} port {port}: {error.strerror or error}"
        raise SettingsError(setting, detail) from None
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether `listener` can be reached from this machine only."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
