"""Reading the stream: open it, subscribe, and do both again when something stopped.

A *canary* proves that the way through the log works: a pod that has read nothing for a while
appends an empty entry, so a fleet of any size sends about one per interval. If what was stored does
not come back in time, the subscription is renewed; until it does, the pod is degraded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from tidegate.contract.errors import TidegateError
from tidegate.stream.log import LogEntry
from tidegate_sidecar.backplane import entries
from tidegate_sidecar.backplane.jetstream.appender import Appender
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.jetstream.problems import (
    Troubles,
    WrongStreamError,
    not_reached,
    problem_of,
)
from tidegate_sidecar.backplane.jetstream.round_trip import RoundTrip
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings, subject_matches
from tidegate_sidecar.backplane.jetstream.subscription import HEARTBEAT_S, Subscription
from tidegate_sidecar.backplane.port import Reader, epoch_of

TICK_S: Final = 0.25
LOSSES_KEY: Final = "tidegate-losses"

_log = logging.getLogger("tidegate.backplane")


class Reading:
    """Reads over `connection` into a `Reader`. `clock` in seconds."""

    def __init__(
        self,
        settings: JetStreamSettings,
        connection: Connection,
        appender: Appender,
        clock: Callable[[], float],
        counters: dict[str, int],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._appender = appender
        self._clock = clock
        self._counters = counters
        self._subscription: Subscription | None = None
        self._reader: Reader | None = None
        self._position = 0
        self._filled = False
        self._read_at = clock()
        self._canary: asyncio.Task[None] | None = None
        self.round_trip = RoundTrip(settings.canary_limit_s)
        self.epoch: str | None = None
        """The log's; ``None`` until it was reached for the first time."""
        self.troubles = Troubles(clock, not_reached(settings))
        """Why the stream cannot be opened; none while it is open."""

    @property
    def degraded(self) -> bool:
        """No connection, no subscription, or something stored has not come back in time."""
        reading = self._subscription is not None and self._connection.is_connected
        return not reading or self.round_trip.overdue(self._clock())

    async def run(self, reader: Reader) -> None:
        """Read until cancelled."""
        self._reader = reader
        while True:
            try:
                await self._check()
            except (NatsError, OSError) as error:
                self._failed(self._connection.denied or error)
                await self._drop()
            except Exception:  # noqa: BLE001 - a pod that stopped reading would stay deaf
                _log.exception("reading the log failed")
                await self._drop()
            await asyncio.sleep(TICK_S)

    async def stop(self) -> None:
        """End what is still on its way."""
        if self._canary is not None:
            self._canary.cancel()
            await asyncio.gather(self._canary, return_exceptions=True)

    def stored(self, seq: int) -> None:
        """An entry of this pod was stored at `seq` and must come back."""
        self.round_trip.stored(seq, self._position, self._clock())

    async def batch(self, found: list[LogEntry], position: int, pending: int) -> None:
        """Take what the subscription read (its port `Owner`)."""
        assert self._reader is not None
        self._position, self._read_at = position, self._clock()
        self.round_trip.read(position, self._read_at)
        await self._reader.read(found, position)
        if not pending:
            self._now_filled()

    def _now_filled(self) -> None:
        if not self._filled and self._reader is not None:
            self._filled = True
            self._reader.filled()

    async def _check(self) -> None:
        if not self._connection.is_connected:
            await self._drop()
            if self._connection.is_reconnecting:
                return
            await self._connection.connect(self._failed)
        if self._subscription is None or self._wedged(self._subscription):
            await self._drop()
            await self._subscribe()
        quiet_s = self._clock() - self._read_at
        resting = self._canary is None or self._canary.done()
        if quiet_s > self._settings.canary_every_s and resting:
            self._canary = asyncio.create_task(self._send_canary(), name="canary")

    def _failed(self, error: Exception) -> None:
        self.troubles.met(problem_of(error, self._settings))

    def _wedged(self, subscription: Subscription) -> bool:
        silent = subscription.silent_s() > 2.5 * HEARTBEAT_S
        lost = not self._connection.is_trusted
        return lost or subscription.broken or silent or self.round_trip.late(self._clock())

    async def _drop(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.stop()

    async def _send_canary(self) -> None:
        self._counters["canaries"] += 1
        try:
            stored = await self._appender.append(entries.CANARY, None)
        except TidegateError:
            self.round_trip.failed(self._position, self._read_at)
            return
        self.stored(stored.seq)

    async def _subscribe(self) -> None:
        connection = self._connection.connects
        info = await self._ensure_stream()
        self._enter(info, await self._epoch_in(info))
        self._connection.trust(connection)
        subscription = Subscription(
            self._connection.client, self, self._position + 1, self._clock, self._counters
        )
        pending = await subscription.subscribe(self._connection.context, self._settings.stream)
        self._subscription = subscription
        self.troubles.over()
        self._counters["subscribed"] += 1
        self.round_trip.renewed(self._clock())
        if not pending:
            self._now_filled()

    async def _ensure_stream(self) -> StreamInfo:
        context = self._connection.context
        try:
            info = await context.stream_info(self._settings.stream)
        except NotFoundError:
            return await context.add_stream(self._settings.stream_config())
        subjects = info.config.subjects or []
        if not any(subject_matches(subject, self._settings.subject) for subject in subjects):
            raise WrongStreamError(f"{self._settings.stream} has {', '.join(subjects) or 'none'}")
        return info

    def _enter(self, info: StreamInfo, epoch: str) -> None:
        assert self._reader is not None
        first, last = info.state.first_seq, info.state.last_seq
        if epoch != self.epoch:
            # At start the ring is filled with the last events; a log that became another one
            # later is read from its beginning, because all of it is news.
            start = last - self._settings.ring_events if self.epoch is None else 0
            self._position = max(start, first - 1, 0)
            self.epoch = epoch
            self.round_trip.reset()
            self._counters["epochs"] += 1
            self._reader.reset(epoch, self._position)
        elif first - 1 > self._position:
            # What we missed while we were away has been thrown away meanwhile.
            self._position = first - 1
            self._counters["holes"] += 1
            self._reader.reset(epoch, self._position)

    async def _epoch_in(self, info: StreamInfo) -> str:
        if info.created is None:
            raise OSError("the server does not say when the stream was made")
        metadata = dict(info.config.metadata or {})
        birth = epoch_of(round(info.created.timestamp() * 1_000_000))
        losses = metadata.get(LOSSES_KEY, "0")
        losses = losses if losses.isdecimal() else "0"
        epoch = birth if losses == "0" else f"{birth}.{losses}"
        if epoch != self.epoch or info.state.last_seq >= self._position:
            return epoch
        # The same stream without its end: its numbers will name other events from now on. Pods
        # that notice together count from the same number, so they agree without talking.
        metadata[LOSSES_KEY] = str(int(losses) + 1)
        await self._connection.context.update_stream(info.config.evolve(metadata=metadata))
        return f"{birth}.{metadata[LOSSES_KEY]}"
