"""Serve the report API with uvicorn on a loop that somebody else owns.

In the cluster that loop has a thread of its own beside kopf; in the lab it is the lab's. Signals
are the owner's business, so uvicorn's handlers stay off.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from tidegate.contract.errors import SettingsError

STARTUP_TIMEOUT_S = 10.0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ReportServer:
    """The report API on one TCP port; `port` 0 takes a free one, an IPv6 `host` is one.

    With `context` it speaks TLS; a certificate loaded into it later counts for new connections.
    """

    def __init__(
        self, app: Starlette, host: str, port: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        if context is not None:
            config.ssl_context_factory = lambda *_: context
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen and serve; returns the port. Raises `SettingsError` when it is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise SettingsError("port", f"{self._host} port {self._port}: {error}") from None
        port: int = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await asyncio.wait_for(self._server.listening.wait(), STARTUP_TIMEOUT_S)
        return port

    async def stop(self) -> None:
        """End the server; held requests should have been let go before (`ReportBook.close`)."""
        if self._serving is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        await self._serving
        self._serving = None
