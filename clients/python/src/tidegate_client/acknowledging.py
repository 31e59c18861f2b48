"""A client that acknowledges handled events, and resumes there after a restart.

The server keeps the last acknowledged id per client and name of the stream (``?stream=NAME``), and
a stream of that name that comes without a cursor resumes after it, on any pod. An event is
acknowledged once the loop that took it asks for the next one, so what was handed out and not
finished comes again: at least once, where `SseClient` alone starts a new life at the newest event.
"""

from __future__ import annotations

import logging
import time
from typing import Final, Unpack

import anyio
import httpx2

from tidegate.contract.acknowledge import acknowledgement_json
from tidegate.contract.errors import SettingsError
from tidegate.contract.names import PATH_ACKNOWLEDGE, PATH_SUBSCRIBE, QUERY_STREAM, is_stream_name
from tidegate.wire.decode import Event
from tidegate_client.ack_pacer import ACKNOWLEDGE_EVERY_MS, AckPacer
from tidegate_client.background import Pulse, Timer
from tidegate_client.client import SseClient
from tidegate_client.decisions import retry_after_ms
from tidegate_client.errors import ending_of
from tidegate_client.options import SseClientOptions

FLUSH_LIMIT_S: Final = 2.0
"""How long a client that closes tries to have its last acknowledgement kept."""

_log = logging.getLogger("tidegate_client")
_SUFFIX: Final = PATH_ACKNOWLEDGE.removeprefix(PATH_SUBSCRIBE)


class AcknowledgingSseClient(SseClient):
    """An `SseClient` that acknowledges.

    ::

        url = "http://localhost:8080/sse/subscribe/42?stream=orders"
        async with AcknowledgingSseClient(url) as stream:
            async for event in stream:
                await save(event)        # acknowledged when the loop asks for the next one

    An event that a loop leaves unfinished, by an error, ``break`` or cancellation, is not
    acknowledged: the next loop begins with it, on this client or in a new life. With `automatic`
    off nothing is acknowledged but by `acknowledge`, and nothing comes again by itself. At most one
    acknowledgement is sent per `acknowledge_every_ms`; `ack_status` is the answer to the last
    one.
    """

    def __init__(
        self,
        url: str | httpx2.URL,
        *,
        automatic: bool | None = None,
        acknowledge_every_ms: float | None = None,
        **options: Unpack[SseClientOptions],
    ) -> None:
        """`options` are those of `SseClient`. Raises `SettingsError` for a URL without a name."""
        self._automatic = self._hands_out_again = automatic is not False
        super().__init__(url, **options)
        name = httpx2.QueryParams(self._requester.query.decode()).get(QUERY_STREAM, "")
        if not is_stream_name(name):
            detail = f"must name its stream: …{PATH_SUBSCRIBE}?{QUERY_STREAM}=NAME"
            raise SettingsError("url", detail)
        every_ms = ACKNOWLEDGE_EVERY_MS if acknowledge_every_ms is None else acknowledge_every_ms
        if isinstance(every_ms, bool) or not isinstance(every_ms, int | float) or not every_ms >= 0:
            raise SettingsError("acknowledge_every_ms", f"must be at least 0, is {every_ms!r}")
        self._ack_target = self._requester.target.rstrip("/") + _SUFFIX
        self.acknowledge_url = f"{self._ack_target}?{self._requester.query.decode()}"
        self._noted = self.last_event_id
        self._pacer = AckPacer(every_ms, self._settings)
        self._post_limit_s = self._settings.connect_timeout_ms / 1000
        self._ack_timer = Timer(self._background, self._clock, self._ack_due)
        self._ack_change = Pulse()
        self._refused = 0
        self.ack_status = 0
        """HTTP status of the last answer to an acknowledgement; 0 without one."""

    @property
    def acknowledged(self) -> str:
        """The last id that the server has kept."""
        return self._pacer.kept

    def acknowledge(self, event: Event | str) -> None:
        """Everything up to this event (or id) is done; it is sent soon."""
        event_id = event if isinstance(event, str) else event.id
        if event_id == self._inbox.position:
            self._inbox.finish()
        self._pacer.acknowledge(event_id, self._now())
        self._arm_acks()

    async def flush(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Send what waits now; whether it is kept, within `limit_s`."""
        pacer = self._pacer
        newest = pacer.waiting or pacer.sending or pacer.kept
        tried = ""
        with anyio.move_on_after(limit_s):
            while pacer.waiting or pacer.sending:
                if pacer.waiting and pacer.waiting != tried:
                    # In this task: under trio a block that is cancelled takes the background along.
                    tried = pacer.flush(self._now())
                    await self._send(tried)
                else:
                    await self._ack_change.wait()
        return pacer.kept == newest

    async def aclose(self) -> None:
        """Flush, then stop."""
        await self.flush()
        await super().aclose()

    def _take(self) -> Event | None:
        event = super()._take()
        self._acknowledge_handled()
        return event

    def _received(self) -> None:
        self._acknowledge_handled()

    def _acknowledge_handled(self) -> None:
        handled = self._inbox.handled
        if self._automatic and handled != self._noted:
            self._noted = handled
            self.acknowledge(handled)

    def _arm_acks(self) -> None:
        self._ack_timer.set(self._pacer.deadline_ms() / 1000)

    def _ack_due(self) -> None:
        self._post(self._pacer.tick(self._now()))

    def _post(self, event_id: str) -> None:
        if event_id:
            self._background.start(self._send, event_id)
        self._arm_acks()

    async def _send(self, event_id: str) -> None:
        status, wait_ms = 0, 0.0
        try:
            status, wait_ms = await self._ask(event_id)
        finally:
            # Also where it was cancelled: then it waits to be sent again.
            self._pacer.answered(event_id, status, wait_ms, self._now())
            self._ack_change.send()
            self._arm_acks()

    async def _ask(self, event_id: str) -> tuple[int, float]:
        """Post an acknowledgement: the status for the pacer, and how long to wait."""
        refused, self._refused = self._refused, 0
        body = acknowledgement_json(event_id).encode()
        try:
            answer = await self._requester.post(self._ack_target, body, refused, self._post_limit_s)
        except Exception as error:  # noqa: BLE001 - whatever the library or the provider raises
            self.ack_status = 0
            if ending_of(error) == "error":
                return 0, 0.0
            _log.warning("an acknowledgement cannot be sent: %s", error)
            return 400, 0.0  # the pacer lets go of what can never be sent
        status = self.ack_status = answer.status_code
        if status in (401, 403):
            self._refused = status
        return status, retry_after_ms(answer.headers.get("retry-after"), time.time() * 1000)
