"""The asyncio client: carries out what the connector decides, with httpx2 and one timer.

Each connection is a task with its own decoder. A consumer that iterates too slowly makes the
reading stop; the server then sees a full socket and tells in a `gap` what was lost.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

import httpx2

from tidegate.contract.errors import DocumentError
from tidegate.contract.names import HEADER_LAST_EVENT_ID, QUERY_HANDOVER
from tidegate.contract.stream_events import CONNECTED, CURSOR, SHUTDOWN
from tidegate.wire.decode import Decoder, Event, Retry
from tidegate_client.actions import (
    Abort,
    Action,
    Deliver,
    Ending,
    Moment,
    Open,
    ReadyState,
    TellLost,
    TellOpened,
    TellStopped,
)
from tidegate_client.connector import Connector
from tidegate_client.decisions import Settings, retry_after_ms
from tidegate_client.errors import StreamStoppedError
from tidegate_client.stream_events import Lost, Opened

HeadersSource = (
    Mapping[str, str] | Callable[[int], Mapping[str, str] | Awaitable[Mapping[str, str]]]
)
"""Request headers, or what makes them anew for every attempt; it is given the 401 or 403 with
which the last ones were refused, else 0."""

_QUEUE_LENGTH = 1024
"""Reading stops while the consumer has this many events to take."""

_CONTROLS = frozenset({CONNECTED, CURSOR, SHUTDOWN})

_ILLEGAL = re.compile(rb"[\x00\n\v\f\r]")
"""What no header value may hold; VT and FF are legal to fetch, but not to h11."""


class SseClient:
    """Follows one event stream through failures and rollouts.

    ::

        async with SseClient("http://localhost:8080/events?topic=news") as stream:
            async for event in stream:
                print(event.id, event.type, event.data)

    The iteration yields the application's events and `gap`, and with `controls` the server's other
    words as well; it ends at `close` and at a 204, and raises `StreamStoppedError` when the client
    gives up. `on_change` hears `Opened` and `Lost`. A given `http` client is used and not closed;
    its own timeouts do not apply to streams. `clock` and `random` are for tests.
    """

    def __init__(
        self,
        url: str | httpx2.URL,
        *,
        headers: HeadersSource | None = None,
        settings: Settings | None = None,
        last_event_id: str = "",
        controls: bool = False,
        on_change: Callable[[Opened | Lost], None] | None = None,
        http: httpx2.AsyncClient | None = None,
        max_line_bytes: int = 1 << 20,
        max_event_bytes: int = 4 << 20,
        clock: Callable[[], float] | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        settings = replace(settings or Settings(), renewable=callable(headers))
        url = httpx2.URL(url)
        self.url = url.copy_set_param(QUERY_HANDOVER, "1") if settings.handover else url
        self._connector = Connector(settings, last_event_id)
        self._headers = headers or {}
        self._controls = controls
        self._on_change = on_change
        self._http = http
        self._own_http: httpx2.AsyncClient | None = None
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._clock = clock or time_since_boot_s
        self._random = random
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._events: deque[Event] = deque()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._stopped: StreamStoppedError | None = None

    @property
    def ready_state(self) -> ReadyState:
        """``connecting``, ``open`` or ``closed``."""
        return self._connector.ready_state

    @property
    def last_event_id(self) -> str:
        """The id the next connection resumes after."""
        return self._connector.last_event_id

    def connect(self) -> None:
        """Start following; does nothing when started. Needs a running loop."""
        self._stopped = None
        self._perform(self._connector.connect(self._moment()))

    def reconnect(self) -> None:
        """Drop what there is and connect now, resuming after the last event."""
        self._perform(self._connector.close())
        self.connect()

    def wake(self) -> None:
        """Say that the network is back: hurries a waiting client and checks an open stream."""
        self._perform(self._connector.wake(self._moment()))

    async def aclose(self) -> None:
        """Stop for good, from any state; waits until the connections are gone."""
        self._perform(self._connector.close())
        self._events.clear()
        self._filled.set()
        tasks = [task for task in self._tasks.values() if task is not asyncio.current_task()]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._own_http is not None:
            await self._own_http.aclose()
            self._own_http = None

    async def __aenter__(self) -> Self:
        """Start following."""
        self.connect()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        """The stream's events; one consumer at a time."""
        return self

    async def __anext__(self) -> Event:
        """The next event; raises `StreamStoppedError` when the client has given up."""
        while not self._events:
            if self.ready_state == "closed":
                if self._stopped is not None and self._stopped.reason != "no_content":
                    raise self._stopped
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        event = self._events.popleft()
        self._taken.set()
        return event

    def _moment(self) -> Moment:
        return Moment(self._clock() * 1000, self._random())

    def _perform(self, actions: list[Action], error: BaseException | None = None) -> None:
        for action in actions:
            match action:
                case Open(conn):
                    # A listener may have started anew in the middle of these actions.
                    if self._connector.holds(conn):
                        self._tasks[conn] = asyncio.create_task(self._follow(action))
                case Abort():
                    self._abort(action.conn)
                case Deliver():
                    if self._controls or action.event.type not in _CONTROLS:
                        self._events.append(action.event)
                        self._filled.set()
                case TellOpened():
                    self._tell(Opened())
                case TellLost(reason, delay_ms, attempt, status):
                    self._tell(Lost(reason, True, delay_ms / 1000, attempt, status, error))
                case TellStopped(reason, attempt, status):
                    self._stopped = StreamStoppedError(reason, status)
                    self._filled.set()
                    self._tell(Lost(reason, False, 0.0, attempt, status, error))
        self._arm()

    def _tell(self, change: Opened | Lost) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(change)
        except Exception as error:  # noqa: BLE001 - a listener's error must not end the stream
            context = {"message": "on_change raised", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _abort(self, conn: int) -> None:
        task = self._tasks.get(conn)
        # A connection that lets go of itself returns as soon as it finds that it is not held.
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _arm(self) -> None:
        """One timer for everything. It may ring too early, as bytes only move the watchdog back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ms = self._connector.deadline_ms()
        if deadline_ms < math.inf:
            delay_s = max(0.0, deadline_ms / 1000 - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._perform(self._connector.tick(self._moment()))

    async def _follow(self, opening: Open) -> None:
        how: Ending = "eof"
        thrown: BaseException | None = None
        try:
            await self._request(opening)
        except DocumentError as error:
            how, thrown = "oversized", error
        except Exception as error:  # noqa: BLE001 - whatever the provider or the library raises
            how, thrown = "error", error
        finally:
            self._tasks.pop(opening.conn, None)
        self._perform(self._connector.ended(opening.conn, how, self._moment()), thrown)

    async def _request(self, opening: Open) -> None:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if callable(self._headers):
            made = self._headers(opening.renew)
            headers.update(await made if inspect.isawaitable(made) else made)
        else:
            headers.update(self._headers)
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        if position := _header_value(opening.last_event_id):
            fields.append((HEADER_LAST_EVENT_ID.encode(), position))
        http = self._http_client()
        request = http.build_request("GET", self.url, headers=fields, timeout=None)
        response = await http.send(request, stream=True, follow_redirects=True)
        try:
            await self._respond(opening, response)
        finally:
            await response.aclose()

    def _http_client(self) -> httpx2.AsyncClient:
        if self._http is not None:
            return self._http
        if self._own_http is None:
            self._own_http = httpx2.AsyncClient()
        return self._own_http

    async def _respond(self, opening: Open, response: httpx2.Response) -> None:
        conn = opening.conn
        wait_ms = retry_after_ms(response.headers.get("retry-after"), time.time() * 1000)
        content_type = response.headers.get("content-type", "")
        moment = self._moment()
        status = response.status_code
        self._perform(self._connector.responded(conn, status, content_type, wait_ms, moment))
        if not self._connector.holds(conn):
            return
        decoder = Decoder(
            last_event_id=opening.last_event_id,
            max_line_bytes=self._max_line_bytes,
            max_event_bytes=self._max_event_bytes,
        )
        async for chunk in response.aiter_bytes():
            self._take(conn, decoder, chunk)
            if not self._connector.holds(conn):
                return
            await self._room(conn)

    def _take(self, conn: int, decoder: Decoder, chunk: bytes) -> None:
        connector = self._connector
        connector.activity(conn, self._clock() * 1000)
        for item in decoder.feed(chunk):
            if isinstance(item, Retry):
                connector.retry(conn, item.ms)
            elif isinstance(item, Event):
                self._perform(connector.event(conn, item, self._moment()))
        connector.position(conn, decoder.last_event_id)

    async def _room(self, conn: int) -> None:
        """Wait until the consumer has taken enough; this silence is ours, not the server's."""
        while len(self._events) >= _QUEUE_LENGTH:
            self._connector.activity(conn, math.inf)
            self._taken.clear()
            await self._taken.wait()
            self._connector.activity(conn, self._clock() * 1000)
            self._arm()


def _header_value(last_event_id: str) -> bytes:
    """An id as a header can carry it: stripped as fetch does; empty where it cannot.

    h11 refuses such a header before anything is sent, and every attempt would fail on it.
    """
    value = last_event_id.encode().strip(b"\t\n\r ")
    return b"" if _ILLEGAL.search(value) else value


def time_since_boot_s() -> float:
    """Seconds of a clock that never goes back and, where the system has one, counts its sleep."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
