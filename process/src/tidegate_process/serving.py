"""uvicorn inside a loop that belongs to the program, with its signals and its end.

uvicorn would take SIGTERM for itself and stop listening at once. Here a server never touches a
signal, and ends when its owner stops it, after everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any, TextIO

import uvicorn
from starlette.types import ASGIApp

from tidegate_process.listeners import BACKLOG
from tidegate_process.ports import TICK_S, Port
from tidegate_process.protocol import BoundedProtocol
from tidegate_process.tls_listener import TlsListener


def announce(stream: TextIO | None, **listeners: socket.socket) -> None:
    """Write one JSON line with the ports to `stream`: everything listens now.

    A stream that is closed or has no reader is no reason to end.
    """
    ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    if stream is None:
        return
    try:
        stream.write(json.dumps({"event": "listening", **ports}) + "\n")
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            # The interpreter flushes what is left at its end, and would fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Server(uvicorn.Server):
    """An application on one listening socket, within the bounds of `port`.

    ``async with Server(app, listener, port):`` serves inside the block. At its end, requests that
    have begun get `finish_s` to be answered. `protocol` replaces the bounded one; `tls` may load
    another certificate later, which counts for new connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        port: Port,
        *,
        protocol: type[asyncio.Protocol] | None = None,
        tls: ssl.SSLContext | None = None,
        finish_s: int = 1,
    ) -> None:
        bound = type("PortProtocol", (BoundedProtocol,), {"port": port})
        config = uvicorn.Config(
            app,
            http=protocol or bound,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=port.limits.keep_alive_s,
            timeout_graceful_shutdown=finish_s,
        )
        super().__init__(config)
        self._listener = listener
        self.port = port
        self._tls = tls
        self._listening = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Serve; returns the port's number once it accepts."""
        number: int = self._listener.getsockname()[1]
        serving = asyncio.create_task(self.serve(), name=f"{self.port.name} port")
        listening = asyncio.create_task(self._listening.wait())
        self._tasks = [serving, asyncio.create_task(self._expire())]
        await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        if not self._listening.is_set():
            listening.cancel()
            serving.result()
            raise RuntimeError("the server ended before it had started")
        return number

    async def ended(self) -> None:
        """Return once the server has ended, by `stop` or by itself; raises what it ended with."""
        await asyncio.shield(self._tasks[0])

    async def stop(self) -> None:
        """Accept no more, let requests finish, and end."""
        self.should_exit = True
        serving, expiring = self._tasks
        try:
            await asyncio.gather(serving, return_exceptions=True)
        finally:
            expiring.cancel()
            self._listener.close()

    async def __aenter__(self) -> Server:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; with TLS in a way that counts connections before their handshake, too."""

        def protocol() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state={}
            )

        if self._tls is not None:
            listening: Any = TlsListener(self._listener, self._tls, self.port, protocol)
        else:
            listening = await asyncio.get_running_loop().create_server(
                protocol, sock=self._listener, backlog=BACKLOG
            )
        self.servers = [listening]
        self.started = True
        self._listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the program's own handlers stay."""
        yield

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.port.expire()
