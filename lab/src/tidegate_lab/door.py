"""The front door: what a Service with kube-proxy does to new connections, and nothing else.

A connection goes to one of the known endpoints at random, each equally likely (iptables statistic
mode); established ones are never touched. The known endpoints are those of the last sync: up to a
second old, so that a pod that has just been deleted still gets connections. Load clients ask a
`FrontDoor` and then connect straight to the pod, as DNAT has them; browsers and curl come through
the `Forwarder`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tidegate.contract.errors import SettingsError

SYNC_PERIOD_S = 1.0
"""kube-proxy's minSyncPeriod: endpoint changes are taken up at most once a second."""

_COPY_BYTES = 65536


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a pod takes streams."""

    pod: str
    host: str
    port: int

    def to_json(self) -> dict[str, Any]:
        """As it travels to the processes that hold clients."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod as an EndpointSlice describes it: `serving` is the Ready condition."""

    endpoint: Endpoint
    serving: bool
    terminating: bool
    admitted: bool


def endpoints(candidates: Iterable[Candidate]) -> tuple[Endpoint, ...]:
    """The endpoints that get traffic: ready and selected by the admit label.

    Only if there is none, those that are serving while terminating (KEP-1669).
    """
    selected = [c for c in candidates if c.admitted and c.serving]
    ready = [c.endpoint for c in selected if not c.terminating]
    return tuple(sorted(ready or [c.endpoint for c in selected]))


class FrontDoor:
    """One node's rules: a seeded random choice over the endpoints of the last sync."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._known: tuple[Endpoint, ...] = ()

    def apply(self, known: Sequence[Endpoint]) -> None:
        """Take up a sync."""
        self._known = tuple(known)

    def choose(self) -> Endpoint | None:
        """The endpoint of the next connection; ``None``: none, the connection is refused."""
        return self._random.choice(self._known) if self._known else None


async def keep_in_sync(
    look: Callable[[], tuple[Endpoint, ...]],
    take_up: Callable[[tuple[Endpoint, ...]], Awaitable[None]],
) -> None:
    """Once a second give `take_up` what `look` returns, if it has changed; until cancelled."""
    known: tuple[Endpoint, ...] | None = None
    loop = asyncio.get_running_loop()
    next_s = loop.time()
    while True:
        seen = look()
        if seen != known:
            known = seen
            await take_up(seen)
        next_s += SYNC_PERIOD_S
        await asyncio.sleep(next_s - loop.time())


class Forwarder:
    """A TCP port in front of the door, for whatever cannot ask it. Bytes pass as they are."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises `SettingsError` when it is taken."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            problem = f"{host}:{port}: {error.strerror}; take another, or 0 for any"
            raise SettingsError("--port", problem) from None
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and drop what is open."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # refused, reset or dropped: the caller sees its connection end
        finally:
            self._open.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        endpoint = self._door.choose()
        if endpoint is None:
            return
        far_reader, far_writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        try:
            upward = asyncio.ensure_future(_copy(reader, far_writer))
            try:
                await _copy(far_reader, writer)
            finally:
                upward.cancel()
                await asyncio.gather(upward, return_exceptions=True)
        finally:
            far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_COPY_BYTES):
            writer.write(data)
            await writer.drain()
