"""The sidecar's three ports, bound first of all."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import NamedTuple

from tidegate.contract.names import LOOPBACK
from tidegate.contract.sidecar import Listening, env
from tidegate_process.listeners import bind


class Listeners(NamedTuple):
    """A listening socket per port."""

    public: socket.socket
    admin: socket.socket
    publish: socket.socket


@contextlib.contextmanager
def listen(at: Listening) -> Iterator[Listeners]:
    """The listeners, closed at the end; raises `SettingsError` for a port that is taken."""
    wanted = (
        (at.host, at.public_port, env("public_port")),
        (at.admin_host, at.admin_port, env("admin_port")),
        (LOOPBACK, at.publish_port, env("publish_port")),
    )
    with contextlib.ExitStack() as stack:
        yield Listeners(*(stack.enter_context(contextlib.closing(bind(*one))) for one in wanted))
