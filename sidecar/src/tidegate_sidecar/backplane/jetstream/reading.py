"""Reading the stream: open it, subscribe, and do both again when something stopped.

A *canary* proves that the way through the log works: a pod that has read nothing for a while
appends an empty entry, so a fleet of any size sends about one per interval. If what was stored does
not come back in time, the subscription is renewed; until it does, the pod is degraded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from tidegate.contract.errors import BackplaneUnavailableError, TidegateError
from tidegate.stream.lives import Lives
from tidegate.stream.log import LogEntry
from tidegate.wire.cursors import Cursor
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
from tidegate_sidecar.backplane.jetstream.witness import LastRead, Witness
from tidegate_sidecar.backplane.port import Reader

TICK_S: Final = 0.25

_log = logging.getLogger("tidegate.backplane")


class Reading:
    """Reads over `connection` into a `Reader`. `clock` in seconds."""

    def __init__(
        self,
        settings: JetStreamSettings,
        connection: Connection,
        appender: Appender,
        clock: Callable[[], float],
        instance: str,
        counters: dict[str, int],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._appender = appender
        self._clock = clock
        self._counters = counters
        self._subscription: Subscription | None = None
        self._reader: Reader | None = None
        self._last = LastRead()
        self._stored = 0
        self._filled = False
        self._read_at = clock()
        self._canary: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[Cursor] | None = None
        self._witness = Witness(settings.stream, connection, instance, clock)
        self.round_trip = RoundTrip(settings.canary_limit_s)
        self.lives: Lives | None = None
        """The log's; ``None`` until it was reached for the first time."""
        self.troubles = Troubles(clock, not_reached(settings))
        """Why the stream cannot be opened; none while it is open."""

    @property
    def epoch(self) -> str | None:
        """The log's present epoch."""
        return None if self.lives is None else self.lives.epoch

    @property
    def degraded(self) -> bool:
        """No connection, no subscription, or something stored has not come back in time."""
        reading = self._subscription is not None and self._connection.is_connected
        return not reading or self.round_trip.overdue(self._clock())

    async def run(self, reader: Reader) -> None:
        """Read until cancelled."""
        self._reader = reader
        task = asyncio.current_task()
        assert task is not None
        # Before Python 3.12 `wait_for`, which nats-py uses, returns a result that comes at the same
        # moment as the cancellation, and the cancellation is lost (python/cpython#86296).
        while not task.cancelling():
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
        tasks = [task for task in (self._canary, self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stored(self, seq: int) -> None:
        """An entry of this pod was stored at `seq` and must come back."""
        self._stored = max(self._stored, seq)
        self.round_trip.stored(seq, self._last.seq, self._clock())

    async def batch(self, found: list[LogEntry], last: LastRead, pending: int) -> None:
        """Take what the subscription read (its port `Owner`)."""
        assert self._reader is not None
        self._last, self._read_at = last, self._clock()
        self.round_trip.read(last.seq, self._read_at)
        await self._reader.read(found, last.seq)
        if not pending:
            self._now_filled()

    def _now_filled(self) -> None:
        if not self._filled and self._reader is not None:
            self._filled = True
            self._reader.filled()

    async def _check(self) -> None:
        if not self._connection.is_connected:
            await self._drop()
            await self._connection.connect(self._failed)
            if not self._connection.is_connected:
                return
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
            self.round_trip.failed(self._last.seq, self._read_at)
            return
        self.stored(stored.seq)

    async def _subscribe(self) -> None:
        connection = self._connection.connects
        info = await self._ensure_stream()
        before = self.lives
        lives = await self._witness.settle(info, before, self._last, self._stored)
        if lives is None:
            return
        self._enter(info, lives)
        self._connection.trust(connection)
        if before is not None and before.is_same_log(lives.epoch) and before.epoch != lives.epoch:
            await self._announce()
        subscription = Subscription(
            self._connection.client, self, self._last.seq + 1, self._clock, self._counters
        )
        pending = await subscription.subscribe(self._connection.context, self._settings.stream)
        self._subscription = subscription
        self.troubles.over()
        self._counters["subscribed"] += 1
        self.round_trip.renewed(self._clock())
        if not pending:
            self._now_filled()

    async def _announce(self) -> None:
        """Have the other pods look again: they may have read on in the epoch before.

        The key is none that a publisher can give, and the same for every pod.
        """
        with contextlib.suppress(TidegateError):
            await self._appender.append(entries.NEW_LIFE, f"\x00{self.epoch}")

    async def newest(self) -> Cursor:
        """The newest position in the stream; requests at the same time share one answer."""
        if not self._connection.is_trusted:
            raise BackplaneUnavailableError("the log is out of reach")
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_newest(), name="newest position")
        return await asyncio.shield(self._asking)

    async def _ask_newest(self) -> Cursor:
        try:
            info = await self._connection.context.stream_info(self._settings.stream)
        except (NatsError, OSError, ValueError) as error:
            raise BackplaneUnavailableError(problem_of(error, self._settings).text) from error
        if self.epoch is None:
            raise BackplaneUnavailableError("the log has not been reached yet")
        return Cursor(self.epoch, max(info.state.last_seq, self._last.seq))

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

    def _enter(self, info: StreamInfo, lives: Lives) -> None:
        assert self._reader is not None
        known, position = self.lives, self._last.seq
        if known is None or lives.epoch != known.epoch:
            start = self._start(info, lives)
            if start != position:
                self._last = LastRead(start)
            self.lives, self._stored = lives, 0
            self.round_trip.reset()
            self._counters["epochs"] += 1
            self._reader.reset(lives.epoch, start, lives)
        elif info.state.first_seq - 1 > position:
            # What this pod missed while it was away has been dropped meanwhile.
            self._last = LastRead(info.state.first_seq - 1)
            self._counters["holes"] += 1
            self._reader.reset(lives.epoch, self._last.seq, lives)

    def _start(self, info: StreamInfo, lives: Lives) -> int:
        """Where to read on in another epoch.

        At start the ring is filled with the last events. A log that was made anew later is read
        from its beginning, because all of it is news; one that has lost its end goes on after what
        was left of it, so that no stream gets an event twice.
        """
        oldest = max(info.state.first_seq - 1, 0)
        if self.lives is None:
            return max(info.state.last_seq - self._settings.ring_events, oldest)
        if not lives.is_same_log(self.lives.epoch):
            return oldest
        return max(min(self._last.seq, lives.start), oldest)
