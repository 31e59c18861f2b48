"""A shared log on NATS JetStream: `Log` and `Health`.

One stream per application holds everything in one order; its sequence is the event's, its birth is
the first epoch. A store that comes back without its end begins another one (`witness`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.contract.publish import Publish
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane import entries
from tidegate_sidecar.backplane.jetstream.appender import Appender
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.jetstream.reading import Reading
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.port import Problem, Reader

COUNTERS: Final = (
    "appended", "duplicates", "unavailable", "refused", "retried", "canaries",
    "subscribed", "connected", "malformed", "epochs", "holes",
    "acks_kept", "acks_evicted", "acks_contended", "acks_unavailable",
)  # fmt: skip


class JetStreamLog:
    """Implements `Log` and `Health`. `clock` in seconds; `instance` differs between processes."""

    def __init__(
        self,
        settings: JetStreamSettings,
        connection: Connection,
        clock: Callable[[], float],
        instance: str,
        counters: dict[str, int],
    ) -> None:
        self.counters = counters
        """Totals of what happened between this pod and the server."""
        self._connection = connection
        self._appender = Appender(settings, connection, clock, instance, self.counters)
        self._reading = Reading(settings, connection, self._appender, clock, instance, counters)
        self._task: asyncio.Task[None] | None = None

    @property
    def degraded(self) -> bool:
        """No connection, no subscription, or something acknowledged has not come back in time."""
        return self._reading.degraded

    @property
    def problem(self) -> Problem | None:
        """Why the stream cannot be opened, or what was last refused and not stored since."""
        return self._reading.troubles.problem or self._appender.troubles.problem

    @property
    def canary_delay_s(self) -> float | None:
        """How long the last thing that was awaited took to come back."""
        return self._reading.round_trip.delay_s

    async def start(self, reader: Reader) -> None:
        """Begin; a server out of reach is waited for."""
        self._task = asyncio.create_task(self._reading.run(reader), name="jetstream reading")

    async def stop(self) -> None:
        """End reading and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._reading.stop()
        await self._connection.close()

    async def append(self, publish: Publish) -> Cursor:
        """Store an event; raises `BackplaneUnavailableError` and, too large for it, `CallerError`.

        When it gives up waiting the event may still have been stored: a publisher that must not
        repeat itself gives a key.
        """
        if self._reading.epoch is None:
            self.counters["unavailable"] += 1
            raise BackplaneUnavailableError("the log has not been reached yet")
        stored = await self._appender.append(entries.to_bytes(publish), publish.key)
        if not stored.repeated:
            self._reading.stored(stored.seq)
        return Cursor(self._reading.epoch, stored.seq)

    async def newest(self) -> Cursor:
        """The newest position in the stream; raises `BackplaneUnavailableError`."""
        return await self._reading.newest()
