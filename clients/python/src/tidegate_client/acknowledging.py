"""A client that says how far the application is, and after a restart goes on from there.

The server keeps the last acknowledged id per client and name of the stream (``?stream=NAME``), and
a stream of that name that comes without a cursor resumes after it, on any pod. An event is
acknowledged once the application asks for the next one, so what was handed out and not finished
comes again: at least once, where `SseClient` alone starts a new life at the newest event.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import time
from dataclasses import replace
from typing import Any, Final

import httpx2

from tidegate.contract.acknowledge import acknowledgement_json
from tidegate.contract.errors import SettingsError
from tidegate.contract.names import PATH_ACKNOWLEDGE, PATH_SUBSCRIBE, QUERY_STREAM, is_stream_name
from tidegate.contract.stream_events import CONNECTED, CURSOR, SHUTDOWN
from tidegate.wire.decode import Event
from tidegate_client.ack_pacer import ACKNOWLEDGE_EVERY_MS, AckPacer
from tidegate_client.client import SseClient
from tidegate_client.decisions import Settings, retry_after_ms

FLUSH_LIMIT_S: Final = 2.0
"""How long a client that closes tries to have its last acknowledgement kept."""

_POSITIONS: Final = frozenset({CONNECTED, CURSOR, SHUTDOWN})
_SUFFIX: Final = PATH_ACKNOWLEDGE.removeprefix(PATH_SUBSCRIBE)


class AcknowledgingSseClient(SseClient):
    """An `SseClient` that acknowledges.

    ::

        url = "http://localhost:8080/sse/subscribe/42?stream=orders"
        async with AcknowledgingSseClient(url) as stream:
            async for event in stream:
                await save(event)        # acknowledged when the loop asks for the next one

    A loop that is left by an error or ``break`` has not acknowledged its last event. With
    `automatic` off nothing is acknowledged but by `acknowledge`. At most one acknowledgement is
    sent per `acknowledge_every_ms`; `ack_status` tells how the last one was answered.
    """

    def __init__(
        self,
        url: str | httpx2.URL,
        *,
        automatic: bool = True,
        acknowledge_every_ms: float = ACKNOWLEDGE_EVERY_MS,
        settings: Settings | None = None,
        controls: bool = False,
        **options: Any,
    ) -> None:
        """`options` are those of `SseClient`. Raises `SettingsError` for a URL without a name."""
        if not acknowledge_every_ms >= 0:
            raise SettingsError("acknowledge_every_ms", "must be at least 0")
        self.acknowledge_url = _acknowledge_url(httpx2.URL(url))
        settings = replace(settings or Settings(), renewable=callable(options.get("headers")))
        super().__init__(url, settings=settings, controls=True, **options)
        self._shows_controls = controls
        self._automatic = automatic
        self._pacer = AckPacer(acknowledge_every_ms, settings)
        self._post_limit_s = settings.connect_timeout_ms / 1000
        self._handed_out = ""
        self._ack_timer: asyncio.TimerHandle | None = None
        self._posts: set[asyncio.Task[None]] = set()
        self._ack_change = asyncio.Event()
        self._refused = 0
        self.ack_status = 0
        """HTTP status of the last answer to an acknowledgement; 0 without one."""

    @property
    def acknowledged(self) -> str:
        """The last id that the server has kept."""
        return self._pacer.kept

    def acknowledge(self, event: Event | str) -> None:
        """Say that everything up to this event (or id) is done; it is sent soon."""
        self._pacer.acknowledge(event if isinstance(event, str) else event.id, self._moment())
        self._arm_acks()

    async def flush(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Send what waits now; whether it is kept, within `limit_s`."""
        pacer = self._pacer
        newest = pacer.waiting or pacer.sending or pacer.kept
        self._post(pacer.flush(self._moment()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while pacer.waiting or pacer.sending:
                    self._ack_change.clear()
                    await self._ack_change.wait()
        return pacer.kept == newest

    async def aclose(self) -> None:
        """Flush, then stop for good."""
        await self.flush()
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        posts = [*self._posts]
        for post in posts:
            post.cancel()
        await asyncio.gather(*posts, return_exceptions=True)
        await super().aclose()

    async def __anext__(self) -> Event:
        """The next event; the one before it is acknowledged."""
        self._done()
        while True:
            event = await super().__anext__()
            self._handed_out = event.id
            if self._shows_controls or event.type not in _POSITIONS:
                return event
            # A position reached, in order: everything before it has been taken.
            self._done()

    def _done(self) -> None:
        if self._automatic and self._handed_out:
            self.acknowledge(self._handed_out)
            self._handed_out = ""

    def _arm_acks(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        deadline_ms = self._pacer.deadline_ms()
        if deadline_ms < math.inf:
            delay_s = max(0.0, deadline_ms / 1000 - self._clock())
            self._ack_timer = asyncio.get_running_loop().call_later(delay_s, self._ack_due)

    def _ack_due(self) -> None:
        self._post(self._pacer.tick(self._moment()))

    def _post(self, event_id: str) -> None:
        if event_id:
            post = asyncio.create_task(self._send(event_id), name="acknowledgement")
            self._posts.add(post)
            post.add_done_callback(self._posts.discard)
        self._arm_acks()

    async def _send(self, event_id: str) -> None:
        status, wait_ms = 0, 0.0
        with contextlib.suppress(Exception):  # whatever the header provider or the library raises
            answer = await self._http_client().post(
                self.acknowledge_url,
                content=acknowledgement_json(event_id),
                headers={"Content-Type": "application/json", **await self._made_headers()},
                timeout=self._post_limit_s,
            )
            status = answer.status_code
            wait_ms = retry_after_ms(answer.headers.get("retry-after"), time.time() * 1000)
        self.ack_status = status
        self._refused = status if status in (401, 403) else 0
        self._pacer.answered(event_id, status, wait_ms, self._moment())
        self._ack_change.set()
        self._arm_acks()

    async def _made_headers(self) -> dict[str, str]:
        if not callable(self._headers):
            return dict(self._headers)
        made = self._headers(self._refused)
        return dict(await made if inspect.isawaitable(made) else made)


def _acknowledge_url(url: httpx2.URL) -> httpx2.URL:
    """Where to post for a stream's URL; raises `SettingsError` that names the fix."""
    name = url.params.get(QUERY_STREAM, "")
    if not is_stream_name(name):
        detail = f"must name its stream: …{PATH_SUBSCRIBE}?{QUERY_STREAM}=NAME"
        raise SettingsError("url", detail)
    return url.copy_with(path=url.path.rstrip("/") + _SUFFIX)
