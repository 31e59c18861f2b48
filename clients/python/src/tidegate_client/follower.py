"""Carries out what the connector decides: httpx2, one timer, one piece of work a connection.

A consumer that iterates too slowly makes the reading stop; the server then sees a full socket and
announces the loss by a `gap`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable

from tidegate.wire.decode import Comment, Decoder, Event, Retry
from tidegate_client.actions import (
    Abort,
    Action,
    Deliver,
    Ending,
    Moment,
    Open,
    TellLost,
    TellOpened,
    TellStopped,
)
from tidegate_client.background import Background, Pulse, Timer, Work
from tidegate_client.connector import Connector
from tidegate_client.decisions import retry_after_ms
from tidegate_client.errors import StreamStoppedError, ending_of
from tidegate_client.http_client import HttpResponse
from tidegate_client.inbox import CAPACITY, Inbox
from tidegate_client.listeners import Listeners
from tidegate_client.requester import ProviderError, Requester
from tidegate_client.stream_events import Lost, Opened


class Follower:
    """One stream, followed into an inbox.

    `stopped` is why it was given up. `filled` is sent when the inbox or the state has changed;
    a consumer that takes from the inbox sends `taken`. `received` is called after each chunk.
    """

    def __init__(
        self,
        connector: Connector,
        requester: Requester,
        inbox: Inbox,
        *,
        controls: bool,
        make_decoder: Callable[[str], Decoder],
        clock: Callable[[], float],
        now: Callable[[], Moment],
        listeners: Listeners,
        background: Background,
        received: Callable[[], None],
    ) -> None:
        self.stopped: StreamStoppedError | None = None
        self.filled = Pulse()
        self.taken = Pulse()
        self._connector = connector
        self._requester = requester
        self._inbox = inbox
        self._controls = controls
        self._make_decoder = make_decoder
        self._clock = clock
        self._now = now
        self._listeners = listeners
        self._background = background
        self._received = received
        self._timer = Timer(background, clock, lambda: self.perform(connector.tick(now())))
        self._connections: dict[int, Work] = {}
        self._error: BaseException | None = None

    def start(self) -> None:
        """Follow, unless started."""
        self.stopped = self._error = None
        self.perform(self._connector.connect(self._now()))

    def wake(self) -> None:
        """The network is back."""
        actions = self._connector.wake(self._now())
        if self._connector.ready_state != "closed":
            self.stopped = self._error = None
        self.perform(actions)

    def close(self) -> None:
        """Let go of everything. What waited is dropped: a new start resumes in front of it."""
        self.stopped = None
        self.perform(self._connector.close())
        self._inbox.leave()
        self._inbox.drop()
        self._connector.last_event_id = self._inbox.position
        self.filled.send()

    def perform(self, actions: list[Action], error: BaseException | None = None) -> None:
        """Carry out actions; `error` is what a connection has ended with."""
        self._error = error or self._error
        for action in actions:
            match action:
                case Open(conn):
                    # A listener may have connected again in the middle of these actions.
                    if self._connector.holds(conn):
                        self._connections[conn] = self._background.start(self._follow, action)
                case Abort(conn):
                    if (connection := self._connections.get(conn)) is not None:
                        connection.cancel()
                case Deliver():
                    self._deliver(action)
                case TellOpened():
                    self._listeners.changed(Opened())
                case TellLost():
                    self._lost(action, error)
                case TellStopped():
                    self._stop(action, error)
        self._timer.set(self._connector.deadline_ms() / 1000)

    def _deliver(self, delivery: Deliver) -> None:
        if self._controls or not delivery.control:
            self._inbox.add(delivery.event)
            self.filled.send()
        else:
            self._inbox.move(delivery.event.id)

    def _lost(self, lost: TellLost, error: BaseException | None) -> None:
        self._error = error
        delay_s = lost.delay_ms / 1000
        self._listeners.changed(Lost(lost.reason, True, delay_s, lost.attempt, lost.status, error))

    def _stop(self, stop: TellStopped, error: BaseException | None) -> None:
        self.stopped = StreamStoppedError(stop.reason, stop.status, stop.last)
        self.stopped.__cause__ = self._error
        self.filled.send()
        self._listeners.changed(Lost(stop.reason, False, 0.0, stop.attempt, stop.status, error))

    async def _follow(self, opening: Open) -> None:
        how: Ending = "eof"
        thrown: BaseException | None = None
        try:
            await self._request(opening)
        except ProviderError as error:
            how, thrown = "error", error.error
        except Exception as error:  # noqa: BLE001 - whatever the HTTP library raises
            how, thrown = ending_of(error), error
        finally:
            self._connections.pop(opening.conn, None)
        self.perform(self._connector.ended(opening.conn, how, self._now()), thrown)

    async def _request(self, opening: Open) -> None:
        response = await self._requester.open(opening)
        try:
            await self._respond(opening, response)
        finally:
            await response.aclose()

    async def _respond(self, opening: Open, response: HttpResponse) -> None:
        conn = opening.conn
        wait_ms = retry_after_ms(response.headers.get("retry-after"), time.time() * 1000)
        content_type = response.headers.get("content-type", "")
        status = response.status_code
        self.perform(self._connector.responded(conn, status, content_type, wait_ms, self._now()))
        if not self._connector.holds(conn):
            return
        decoder = self._make_decoder(opening.last_event_id)
        async with contextlib.aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                self._receive(conn, decoder, chunk)
                if not self._connector.holds(conn):
                    return
                await self._room(conn)

    def _receive(self, conn: int, decoder: Decoder, chunk: bytes) -> None:
        connector = self._connector
        connector.activity(conn, self._clock() * 1000)
        for item in decoder.feed(chunk):
            if isinstance(item, Event):
                self.perform(connector.event(conn, item, self._now()))
            elif isinstance(item, Retry):
                connector.retry(conn, item.ms)
            elif isinstance(item, Comment):
                self._listeners.comment(item.text)
        connector.position(conn, decoder.last_event_id)
        if connector.holds(conn):
            self._inbox.move(connector.last_event_id)
        self._received()

    async def _room(self, conn: int) -> None:
        """Wait until the consumer has taken enough; this silence is ours, not the server's."""
        while len(self._inbox) >= CAPACITY:
            self._connector.activity(conn, math.inf)
            await self.taken.wait()
            self._connector.activity(conn, self._clock() * 1000)
            self.perform([])
