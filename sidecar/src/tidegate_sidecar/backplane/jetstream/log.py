"""A shared backplane on NATS JetStream.

One stream per application holds everything in one order; its sequence is the event's, its birth is
the epoch. Should the store come back without its end (a node lost with what was not yet on disk),
the readers that notice count the loss in the stream's metadata, and the epoch with it.

A *canary* proves that the way through the log works: whoever has heard nothing for a while appends
an empty entry, so a fleet of any size sends about one per interval. If what was acknowledged does
not come back in time, the subscription is renewed; until it does, the pod says it is degraded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import BackplaneUnavailableError, TidegateError
from tidegate.contract.publish import Publish
from tidegate.stream.log import LogEntry
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane import entries
from tidegate_sidecar.backplane.jetstream.acks import JetStreamAcks
from tidegate_sidecar.backplane.jetstream.appender import Appender
from tidegate_sidecar.backplane.jetstream.problems import not_reached, problem_of
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.jetstream.subscription import HEARTBEAT_S, Subscription
from tidegate_sidecar.backplane.port import Position, Problem, Reader, epoch_of

TICK_S: Final = 0.25
RECONNECT_WAIT_S: Final = 0.25
LOSSES_KEY: Final = "tidegate-losses"
_COUNTERS: Final = (
    "appended", "duplicates", "unavailable", "retried", "canaries",
    "subscribed", "connected", "malformed", "epochs", "holes",
    "acks_kept", "acks_contended", "acks_unavailable",
)  # fmt: skip

_log = logging.getLogger("tidegate.backplane")


class JetStreamBackplane:
    """Implements `Backplane`. `clock` in seconds; `instance` differs between processes."""

    def __init__(
        self, settings: JetStreamSettings, clock: Callable[[], float], instance: str
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._counters = dict.fromkeys(_COUNTERS, 0)
        self._connection = Client()
        self._context: JetStreamContext = self._connection.jetstream(timeout=2.0)
        self._appender = Appender(settings, self._connection, clock, instance, self._counters)
        self._acks = JetStreamAcks(settings, self._connection, self._context, self._counters)
        self._subscription: Subscription | None = None
        self._reader: Reader | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._reconnected = False
        self._epoch: str | None = None
        self._position = 0
        self._filled = False
        self._awaited: tuple[int, float] | None = None
        self._overdue = False
        self._read_at = clock()
        self._canary: asyncio.Task[None] | None = None
        self._canary_delay_s: float | None = None
        self._problem: Problem | None = not_reached(settings)

    @property
    def degraded(self) -> bool:
        """No connection, no subscription, or something acknowledged has not come back in time."""
        reading = self._subscription is not None and self._connection.is_connected
        return not reading or self._overdue or self._late()

    @property
    def problem(self) -> Problem | None:
        """Why the stream cannot be opened, from the first try until one has succeeded."""
        return self._problem

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened between this pod and the server, in total."""
        return self._counters

    @property
    def canary_delay_s(self) -> float | None:
        """How long the last thing that was awaited took to come back."""
        return self._canary_delay_s

    async def start(self, reader: Reader) -> None:
        """Begin; a server out of reach is waited for."""
        self._reader = reader
        self._tasks.append(asyncio.create_task(self._supervise(), name="jetstream supervisor"))

    async def stop(self) -> None:
        """End reading and close the connection."""
        tasks = [*self._tasks, *([] if self._canary is None else [self._canary])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        if self._connection.is_connected or self._connection.is_reconnecting:
            closing = asyncio.create_task(self._connection.close())
            await asyncio.wait({closing})
            # A connection lost a moment ago ends this with the cancellation of the client's own
            # tasks (nats-py 2), which is not ours.
            if not closing.cancelled():
                closing.result()

    async def append(self, publish: Publish) -> Position:
        """Store an event; raises `BackplaneUnavailableError` and, too large for it, `CallerError`.

        When it gives up waiting the event may still have been stored: a publisher that must not
        repeat itself gives a key.
        """
        if self._epoch is None:
            self._counters["unavailable"] += 1
            raise BackplaneUnavailableError("the log has not been reached yet")
        seq, repeated = await self._appender.append(entries.to_bytes(publish), publish.key)
        if not repeated:
            self._await(seq)
        return Position(self._epoch, seq)

    async def acknowledge(self, key: StreamKey, cursor: Cursor) -> None:
        """Keep a client's position; raises `BackplaneUnavailableError`."""
        if self._epoch is None:
            self._counters["acks_unavailable"] += 1
            raise BackplaneUnavailableError("the log has not been reached yet")
        await self._acks.keep(key, cursor, self._epoch)

    async def acknowledged(self, key: StreamKey) -> Cursor | None:
        """The position kept, from the server; raises `BackplaneUnavailableError`."""
        return await self._acks.read(key)

    # What was acknowledged must come back.

    def _await(self, seq: int) -> None:
        if self._awaited is None and seq > self._position:
            self._awaited = (seq, self._clock())

    def _late(self) -> bool:
        if self._awaited is None:
            return False
        return self._clock() - self._awaited[1] > self._settings.canary_limit_s

    async def batch(self, found: list[LogEntry], position: int, pending: int) -> None:
        """What the subscription read; part of its port, not of ours."""
        assert self._reader is not None
        self._position, self._read_at = position, self._clock()
        if self._awaited is not None and position >= self._awaited[0]:
            self._canary_delay_s = self._read_at - self._awaited[1]
            self._awaited, self._overdue = None, False
        await self._reader.read(found, position)
        if not pending:
            self._now_filled()

    def _now_filled(self) -> None:
        if not self._filled and self._reader is not None:
            self._filled = True
            self._reader.filled()

    async def _send_canary(self) -> None:
        self._counters["canaries"] += 1
        try:
            seq, _ = await self._appender.append(entries.CANARY, None)
        except TidegateError:
            # Without an acknowledgement the way is broken as surely as without a return.
            self._awaited = self._awaited or (self._position + 1, self._read_at)
            return
        self._await(seq)

    # Connecting, subscribing, and doing both again.

    async def _supervise(self) -> None:
        while True:
            try:
                await self._look()
            except (NatsError, OSError) as error:
                self._trouble(problem_of(error, self._settings))
                await self._drop()
            except Exception:  # noqa: BLE001 - a pod that stopped reading would be deaf for good
                _log.exception("reading the log failed")
                await self._drop()
            await asyncio.sleep(TICK_S)

    def _trouble(self, problem: Problem) -> None:
        """Say what is wrong, once for each cause: it is tried again four times a second."""
        if problem != self._problem:
            _log.warning(problem.text)
        self._problem = problem

    async def _look(self) -> None:
        if not self._connection.is_connected:
            await self._connect()
        if self._subscription is None or self._wedged(self._subscription):
            await self._drop()
            await self._subscribe()
        quiet_s = self._clock() - self._read_at
        resting = self._canary is None or self._canary.done()
        reading = self._subscription is not None
        if quiet_s > self._settings.canary_every_s and resting and reading:
            self._canary = asyncio.create_task(self._send_canary(), name="canary")

    async def _connect(self) -> None:
        if self._connection.is_reconnecting:
            # The client reconnects by itself; what it had subscribed is gone with the server.
            await self._drop()
            return
        await self._connection.connect(
            self._settings.servers,
            name=f"tidegate {self._settings.stream}",
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
            connect_timeout=2,
            ping_interval=5,
        )
        self._counters["connected"] += 1

    async def _on_reconnect(self) -> None:
        _log.info("the log is back")
        self._counters["connected"] += 1
        self._reconnected = True

    async def _on_disconnect(self) -> None:
        _log.warning("the log is out of reach; streams stay, publishing waits")

    async def _on_error(self, error: Exception) -> None:
        _log.debug("nats: %s", error)

    def _wedged(self, subscription: Subscription) -> bool:
        silent = subscription.silent_s() > 2.5 * HEARTBEAT_S
        return subscription.broken or silent or self._reconnected or self._late()

    async def _drop(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.stop()

    async def _subscribe(self) -> None:
        if not self._connection.is_connected:
            return
        self._reconnected = False
        info = await self._ensure_stream()
        self._enter(info, await self._epoch_in(info))
        subscription = Subscription(
            self._connection, self, self._position + 1, self._clock, self._counters
        )
        pending = await subscription.subscribe(self._context, self._settings.stream)
        self._subscription, self._problem = subscription, None
        self._counters["subscribed"] += 1
        if self._awaited is not None:
            # The new subscription gets its own time; until then what is overdue stays overdue.
            self._overdue = self._overdue or self._late()
            self._awaited = (self._awaited[0], self._clock())
        if not pending:
            self._now_filled()

    async def _ensure_stream(self) -> StreamInfo:
        try:
            return await self._context.stream_info(self._settings.stream)
        except NotFoundError:
            return await self._context.add_stream(self._settings.stream_config())

    def _enter(self, info: StreamInfo, epoch: str) -> None:
        assert self._reader is not None
        first, last = info.state.first_seq, info.state.last_seq
        if epoch != self._epoch:
            # At start the ring is filled with the last events; a log that became another one
            # later is read from its beginning, because all of it is news.
            start = last - self._settings.ring_events if self._epoch is None else 0
            self._position = max(start, first - 1, 0)
            self._epoch = epoch
            self._awaited, self._overdue = None, False
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
        if epoch != self._epoch or info.state.last_seq >= self._position:
            return epoch
        # The same stream without its end: its numbers will name other events from now on. Pods
        # that notice together count from the same number, so they agree without talking.
        metadata[LOSSES_KEY] = str(int(losses) + 1)
        await self._context.update_stream(info.config.evolve(metadata=metadata))
        return f"{birth}.{metadata[LOSSES_KEY]}"
