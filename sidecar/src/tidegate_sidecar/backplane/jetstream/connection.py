"""The connection to the NATS servers, and what stands in its way.

The client reconnects by itself, for as long as it takes, and reports each failure beside the call:
`on_failure` gets them all. A connection is *trusted* once the log behind it has been looked at: a
server that comes back may have another one, so nothing is appended between a loss and that look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client
from nats.errors import UnexpectedEOF
from nats.js import JetStreamContext

from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

API_TIMEOUT_S: Final = 2.0
RECONNECT_WAIT_S: Final = 0.25

DROPPED: Final = (ConnectionResetError, BrokenPipeError, UnexpectedEOF)
"""How a connection ends that the server has closed."""

_log = logging.getLogger("tidegate.backplane")


class Connection:
    """`client` and `context` are the present ones; `connects` counts the connections made.

    `trusted` is the number of the connection whose log has been looked at; 0: none.
    """

    def __init__(self, settings: JetStreamSettings, counters: dict[str, int]) -> None:
        self._settings = settings
        self._counters = counters
        self._on_failure: Callable[[Exception], None] = _ignore
        self.connects = 0
        self.trusted = 0
        self._trusted = asyncio.Event()
        self.denied: Exception | None = None
        """The last thing that the server denied without an answer (a missing right)."""
        self._refusal: Exception | None = None
        self._is_closing = False
        self._make_client()

    def _make_client(self) -> None:
        self._is_started = False
        self.client = Client()
        self.context: JetStreamContext = self.client.jetstream(timeout=API_TIMEOUT_S)

    @property
    def is_connected(self) -> bool:
        """Whether the client has its server."""
        return self.client.is_connected

    @property
    def is_trusted(self) -> bool:
        """Whether the log behind the present connection is the one that was looked at."""
        return self.is_connected and self.trusted == self.connects > 0

    def trust(self, connection: int) -> None:
        """The log behind `connection` has been looked at."""
        if connection == self.connects and self.is_connected:
            self.trusted = connection
            self._trusted.set()

    async def wait_trusted(self, limit_s: float) -> bool:
        """Wait for a trusted connection, `limit_s` at most; returns whether there is one."""
        if not self.is_trusted:
            # The client notices a loss before it reports it.
            self._trusted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._trusted.wait()
        return self.is_trusted

    async def connect(self, on_failure: Callable[[Exception], None]) -> None:
        """Return once there is a connection; `on_failure` gets the reason of each failed try.

        Returns at once where the client is on its way to a server by itself.
        """
        self._on_failure = on_failure
        if self.client.is_closed:
            # The server has ended it with an error; a client does not start twice.
            self._make_client()
        if self._is_started:
            # A second call would read from the same socket; the client calls this state
            # reconnecting or connecting, by turns.
            return
        self._is_started = True
        await self.client.connect(
            [_without_user(server) for server in self._settings.servers],
            name=f"tidegate {self._settings.stream}",
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
            connect_timeout=2,
            ping_interval=5,
            # Nothing is kept for the next connection: its log may be another one.
            pending_size=0,
            **_credentials(self._settings.servers),
        )
        self._connected()

    async def close(self) -> None:
        """Close it."""
        if self.client.is_closed or not self._is_started:
            return
        self._is_closing = True
        closing = asyncio.create_task(self.client.close())
        await asyncio.wait({closing})
        # A connection lost a moment ago ends this with the cancellation of the client's own
        # tasks (nats-py 2), which is not ours.
        if not closing.cancelled():
            closing.result()

    async def _on_disconnect(self) -> None:
        self._distrust()
        if self.connects and not self._is_closing:
            _log.warning("the log is out of reach: streams stay open, publishing waits")

    async def _on_reconnect(self) -> None:
        _log.info("the log is reachable again")
        self._connected()

    def _connected(self) -> None:
        self.connects += 1
        self.denied = None
        self._refusal = None
        self._counters["connected"] += 1

    def _distrust(self) -> None:
        self.trusted = 0
        self._trusted.clear()

    async def _on_error(self, error: Exception) -> None:
        _log.debug("nats: %s", error)
        trying = asyncio.current_task()
        if trying is not None and trying.cancelling():
            # `asyncio.wait_for` of Python 3.11 loses a cancellation that meets a failed try, and
            # the client would try again for ever.
            raise asyncio.CancelledError
        if "permissions violation" in str(error).lower():
            self.denied = error
        elif not self.is_connected:
            self._on_failure(self._reason_of(error))

    def _reason_of(self, error: Exception) -> Exception:
        """The last reason that the server gave, where `error` is only that it has hung up.

        It closes the connection behind a refusal, and on some tries the reset is read first.
        """
        if isinstance(error, DROPPED):
            return self._refusal or error
        self._refusal = error
        return error


def _credentials(servers: list[str]) -> dict[str, Any]:
    """User and password, or token, of the first address that has them, as they were meant.

    They are percent-encoded there (RFC 3986, 3.2.1); the client would send them as they stand.
    """
    for parts in map(urlsplit, servers):
        if parts.username and parts.password is not None:
            return {"user": unquote(parts.username), "password": unquote(parts.password)}
        if parts.username:
            return {"token": unquote(parts.username)}
    return {}


def _without_user(server: str) -> str:
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _ignore(_: Exception) -> None:
    return None
