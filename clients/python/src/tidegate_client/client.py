"""The async client, under asyncio and under trio: options, life and iteration."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from types import TracebackType
from typing import Self, Unpack

import httpx2

from tidegate.wire.decode import Decoder, Event
from tidegate_client.actions import COMPLETE, Moment, ReadyState
from tidegate_client.background import Background
from tidegate_client.connector import Connector
from tidegate_client.decisions import Settings
from tidegate_client.follower import Follower
from tidegate_client.inbox import Inbox
from tidegate_client.listeners import Listeners
from tidegate_client.options import (
    MAX_EVENT_BYTES,
    MAX_LINE_BYTES,
    SseClientOptions,
    check_options,
)
from tidegate_client.requester import Requester


class SseClient:
    """Follows one event stream through failures and rollouts.

    ::

        async with SseClient("http://localhost:8080/events?topic=news") as stream:
            async for event in stream:
                print(event.id, event.type, event.data)

    The iteration yields the application's events and `gap`, and with `controls` the server's own as
    well. It ends at `aclose`, at a 204 and where a POST's stream ends, and raises
    `StreamStoppedError` when the client gives up. A loop that begins after that connects again;
    after one that was left, the next goes on. Cancelling the task that holds the block ends
    everything.
    """

    _hands_out_again = False
    """Whether an event that a loop leaves unfinished is handed to the next loop again."""

    def __init__(self, url: str | httpx2.URL, **options: Unpack[SseClientOptions]) -> None:
        """Raises `SettingsError` for a URL or an option that cannot work."""
        check_options(options)
        self.url = str(url)
        self._requester = Requester(
            url,
            headers=options.get("headers"),
            method=options.get("method"),
            body=options.get("body"),
            http=options.get("http"),
        )
        self._settings = replace(
            options.get("settings") or Settings(),
            renewable=self._requester.renewable,
            repeat=self._requester.repeat,
        )
        self._clock = options.get("clock") or time_since_boot_s
        self._random = options.get("random") or random.random
        self._background = Background()
        self._listeners = Listeners(
            self._background, options.get("on_change"), options.get("on_comment")
        )
        start = options.get("last_event_id") or ""
        self._connector = Connector(self._settings, start)
        self._inbox = Inbox(start, again=self._hands_out_again)
        self._follower = Follower(
            self._connector,
            self._requester,
            self._inbox,
            controls=bool(options.get("controls")),
            make_decoder=lambda last_event_id: Decoder(
                last_event_id=last_event_id,
                max_line_bytes=options.get("max_line_bytes") or MAX_LINE_BYTES,
                max_event_bytes=options.get("max_event_bytes") or MAX_EVENT_BYTES,
            ),
            clock=self._clock,
            now=self._now,
            listeners=self._listeners,
            background=self._background,
            received=self._received,
        )
        self._started = False

    @property
    def ready_state(self) -> ReadyState:
        """``connecting``, ``open`` or ``closed``."""
        return self._connector.ready_state

    @property
    def last_event_id(self) -> str:
        """The id of what was handed over last: a checkpoint that skips nothing that waits here."""
        return self._inbox.position

    def connect(self) -> None:
        """Start following; does nothing when started.

        Entering the block does it. Under asyncio it may be called without a block, and `aclose`
        has to follow; under trio it then raises `RuntimeError`.
        """
        self._background.check()
        self._follower.start()
        self._started = True

    def reconnect(self) -> None:
        """Drop the connections and connect now, resuming after the last event received."""
        self._background.check()
        self._follower.perform(self._connector.close())
        self.connect()

    def wake(self) -> None:
        """The network is back: hurries a waiting client and checks an open stream.

        A client that has used up its attempts connects again.
        """
        self._follower.wake()

    async def aclose(self) -> None:
        """Stop, from any state and any task; waits until the connections are gone."""
        self._follower.close()
        await self._background.stop()
        self._listeners.close()
        await self._requester.aclose()

    async def __aenter__(self) -> Self:
        """Start following."""
        await self._background.open()
        self.connect()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, also where the block was cancelled."""
        try:
            await self._background.close(self.aclose)
        finally:
            self._started = False

    def __aiter__(self) -> AsyncIterator[Event]:
        """A new loop over the events; one at a time. Connects again where the client had given up.

        Raises `RuntimeError` for a client that was not started.
        """
        self._check_started()
        self._inbox.leave()
        if self._follower.stopped is not None:
            self.connect()
        return self

    async def __anext__(self) -> Event:
        """The next event; raises `StreamStoppedError` when the client has given up."""
        self._check_started()
        while (event := self._take()) is None:
            if self.ready_state == "closed":
                stopped = self._follower.stopped
                if stopped is not None and stopped.reason not in COMPLETE:
                    raise stopped
                raise StopAsyncIteration
            await self._follower.filled.wait()
        self._follower.taken.send()
        return event

    def _take(self) -> Event | None:
        return self._inbox.take()

    def _received(self) -> None:
        """Notify the waiting consumers that something has come."""

    def _check_started(self) -> None:
        if not self._started:
            raise RuntimeError(
                "the client is not started: 'async with SseClient(url) as stream', "
                "then 'async for event in stream'"
            )

    def _now(self) -> Moment:
        return Moment(self._clock() * 1000, self._random())


def time_since_boot_s() -> float:
    """Seconds of a clock that never goes back and, where the system has one, counts its sleep."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
