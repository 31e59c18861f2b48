"""Accepts TLS connections so that a port sees them from the first moment.

``create_server(ssl=...)`` shows a connection only once its handshake is done, so that connections
which never begin one are neither counted nor bounded. Here each is accepted first, entered in its
port, and then given to the loop for the handshake.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from tidegate_process.ports import Port

SHUTDOWN_S: Final = 2.0
"""How long a peer may take to answer the end of TLS; asyncio's own limit is 30 s."""

_NEVER_S: Final = 3600.0
"""The loop's own limit of a handshake; the port ends it before."""

_PAUSE_S: Final = 0.1
"""How long to wait where accepting fails, which is for lack of descriptors."""


class TlsListener:
    """Serves `listener` with a protocol of `make` for each connection; has what uvicorn needs of an
    `asyncio.Server`.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        port: Port,
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listener = listener
        self._context = context
        self._port = port
        self._make = make
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept(), name=f"{port.name} port: accept")

    def close(self) -> None:
        """Accept no more, and give up handshakes that are not done."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Return once nothing is left of `close`."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            handshake = _Handshake(self, connection)
            self._handshakes.add(handshake.task)
            self._port.accepted(handshake, connection.fileno())

    async def shake_hands(self, connection: socket.socket) -> None:
        """Make `connection` one of the protocol; a handshake that fails is only counted."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=_NEVER_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except OSError:  # among them ssl.SSLError, and a peer that hangs up
            self._port.refused["bad_handshake"] += 1

    def done(self, handshake: _Handshake) -> None:
        """Forget a handshake: it is a connection of the protocol now, or closed."""
        self._handshakes.discard(handshake.task)
        self._port.closed(handshake)


class _Handshake:
    """A connection before its handshake is done; implements `ports.Connection`."""

    def __init__(self, listener: TlsListener, connection: socket.socket) -> None:
        self._listener = listener
        self._connection = connection
        self._begun = False
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._done)

    def end(self) -> None:
        """Give it up."""
        self.task.cancel()

    async def _run(self) -> None:
        self._begun = True
        await self._listener.shake_hands(self._connection)

    def _done(self, _: asyncio.Task[None]) -> None:
        if not self._begun:
            self._connection.close()  # else the loop has it, and closes it
        self._listener.done(self)
