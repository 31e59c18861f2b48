"""Connections to the application: new ones, and those kept for the next ordinary request.

A kept connection is used for a short time only and never for a stream. A request that was sent on
one that turned out to be closed is not sent again: it may have been carried out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import urlsplit

from tidegate.contract.proxy import ApplicationSettings

MOST_KEPT: Final = 256
"""Connections that wait for a request; more are closed."""

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""What is held for an application that does not read before its client is no longer read."""


class Owner(Protocol):
    """The exchange that uses a connection."""

    def application_ended(self, error: Exception | None) -> None:
        """The application has closed the connection, or it broke."""

    def application_is_slow(self, *, is_slow: bool) -> None:
        """Whether bytes for the application wait."""


class Upstream(asyncio.Protocol):
    """One connection to the application; its bytes go where `receive` was set to.

    `data_received` is that very callable and no method, which spares each event a call.
    """

    __slots__ = ("data_received", "kept_until_s", "owner", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.owner: Owner | None = None
        self.data_received: Callable[[bytes], None] = self._unasked  # type: ignore[assignment]
        self.kept_until_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Connected."""
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def eof_received(self) -> bool:
        """The application has sent its last byte."""
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._ended(exc)

    def pause_writing(self) -> None:
        """The application does not read."""
        if self.owner is not None:
            self.owner.application_is_slow(is_slow=True)

    def resume_writing(self) -> None:
        """It has read."""
        if self.owner is not None:
            self.owner.application_is_slow(is_slow=False)

    def use(self, owner: Owner, receive: Callable[[bytes], None]) -> None:
        """The connection belongs to `owner` from now on."""
        self.owner = owner
        self.receive(receive)

    def receive(self, take: Callable[[bytes], None]) -> None:
        """Give what the application sends to `take` from now on."""
        self.data_received = take
        self.transport.set_protocol(self)  # uvloop has kept the one before

    def pause_reading(self, *, is_paused: bool) -> None:
        """Read no more, or go on."""
        if is_paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def leave(self) -> None:
        """The connection belongs to nothing."""
        self.owner = None
        self.receive(self._unasked)

    def close(self) -> None:
        """End the connection at once; its owner gets no word of it."""
        self.leave()
        self.transport.abort()

    def _unasked(self, _: bytes) -> None:
        self.transport.abort()

    def _ended(self, problem: Exception | None) -> None:
        owner = self.owner
        if owner is not None:
            self.leave()
            self.transport.abort()
            owner.application_ended(problem)


class Upstreams:
    """The way to the application. `clock` in seconds."""

    def __init__(
        self,
        settings: ApplicationSettings,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        parts = urlsplit(settings.upstream)
        assert parts.hostname is not None
        self.name = parts.netloc.rpartition("@")[2]
        self._address = (parts.hostname, parts.port or 80)
        self._keep_alive_s = settings.upstream_keep_alive_s
        self._clock = clock
        self._loop = loop
        self._kept: deque[Upstream] = deque()

    def take(self) -> Upstream | None:
        """A kept connection, the youngest, or ``None``."""
        now = self._clock()
        while self._kept:
            kept = self._kept.pop()
            if not kept.transport.is_closing() and kept.kept_until_s > now:
                return kept
            kept.transport.abort()
        return None

    async def connect(self) -> Upstream:
        """A new connection; raises `OSError`. The caller bounds the time."""
        _, upstream = await self._loop.create_connection(Upstream, *self._address)
        return upstream

    def keep(self, upstream: Upstream) -> None:
        """Keep a connection whose answer is complete."""
        upstream.leave()
        upstream.transport.resume_reading()
        if self._keep_alive_s <= 0 or len(self._kept) >= MOST_KEPT:
            upstream.transport.abort()
            return
        upstream.kept_until_s = self._clock() + self._keep_alive_s
        self._kept.append(upstream)

    def expire(self) -> None:
        """Close what has been kept for long enough."""
        now = self._clock()
        while self._kept and (
            self._kept[0].kept_until_s <= now or self._kept[0].transport.is_closing()
        ):
            self._kept.popleft().transport.abort()

    def close(self) -> None:
        """Close all that is kept."""
        while self._kept:
            self._kept.pop().transport.abort()
