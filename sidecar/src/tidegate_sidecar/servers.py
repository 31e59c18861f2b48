"""Three uvicorn servers in one loop, whose signals and end belong to us.

uvicorn would take SIGTERM for itself and stop listening before the streams have been let go. Here
a server never touches a signal; it ends when `should_exit` is set, which happens last.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from tidegate.contract.errors import SettingsError

BACKLOG = 4096
"""Connections the kernel holds while the loop is busy; a restarted pod gets a fleet's worth."""


class QuietServer(uvicorn.Server):
    """A server that leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the process's own handlers stay."""
        yield


def bind(host: str, port: int, name: str) -> socket.socket:
    """A bound listening socket; raises `SettingsError` that names the setting `name`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, because asyncio sets TCP_NODELAY only on sockets that say so; without it answers
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
        raise SettingsError(name, detail) from None
    return listener


def make_server(app: Any, protocol: Any, *, keep_alive_s: int) -> QuietServer:
    """A server for `app` that speaks by `protocol`; serve it with a bound socket."""
    return QuietServer(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=keep_alive_s,
            timeout_graceful_shutdown=1,
        )
    )


async def until_started(servers: list[QuietServer], tasks: list[asyncio.Task[None]]) -> None:
    """Wait until every server accepts; raises what made one of `tasks` end instead."""
    while not all(server.started for server in servers):
        for task in tasks:
            if task.done():
                task.result()
                raise RuntimeError("a server ended before it had started")
        await asyncio.sleep(0)
