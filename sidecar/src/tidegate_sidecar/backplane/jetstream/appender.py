"""Appending to a JetStream stream: many at once, each acknowledged, repeated while it may help.

Every entry has a message id, so that repeating it after a lost connection cannot store it twice
(the stream's duplicate window); the publisher's key, where there is one, is that id and holds on
every pod.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from nats.errors import Error as NatsError
from nats.js.api import Header

from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

RETRY_S: Final = 0.1
"""Between two tries of one append: short against a broker's restart, long against its work."""


class Appender:
    """Appends over `connection`. `instance` differs between processes; `clock` in seconds."""

    def __init__(
        self,
        settings: JetStreamSettings,
        connection: Connection,
        clock: Callable[[], float],
        instance: str,
        counters: dict[str, int],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._instance = instance
        self._counters = counters
        self._sent = 0
        self._in_flight = 0
        self._headers = {Header.EXPECTED_STREAM.value: settings.stream}

    async def append(self, body: bytes, key: str | None) -> tuple[int, bool]:
        """Store `body`; returns its sequence and whether it was there before under this key.

        Raises `BackplaneUnavailableError` and, for what the server would never take, `CallerError`.
        """
        limit = self._connection.client.max_payload
        if self._connection.is_connected and len(body) > limit:
            raise CallerError("event_too_large", f"the log takes {limit} bytes", "data", status=413)
        if self._in_flight >= self._settings.max_in_flight:
            raise self._unavailable("too many appends are waiting")
        self._sent += 1
        name = f"u.{self._instance}.{self._sent}" if key is None else f"k.{quote(key, safe='')}"
        self._in_flight += 1
        try:
            acknowledgement = await self._until_acknowledged(body, name)
        finally:
            self._in_flight -= 1
        repeated = bool(acknowledgement.get("duplicate"))
        self._counters["duplicates" if repeated else "appended"] += 1
        return int(acknowledgement["seq"]), repeated

    async def _until_acknowledged(self, body: bytes, message_id: str) -> dict[str, Any]:
        give_up_at = self._clock() + self._settings.append_timeout_s
        headers = {**self._headers, Header.MSG_ID.value: message_id}
        while True:
            acknowledgement = await self._try(body, headers, give_up_at - self._clock())
            if acknowledgement is not None:
                return acknowledgement
            if self._clock() + RETRY_S >= give_up_at:
                raise self._unavailable("the log does not acknowledge")
            self._counters["retried"] += 1
            await asyncio.sleep(RETRY_S)

    async def _try(
        self, body: bytes, headers: dict[str, str], left_s: float
    ) -> dict[str, Any] | None:
        if not self._connection.is_trusted:
            return None
        timeout_s = max(RETRY_S, min(left_s, self._settings.attempt_timeout_s))
        try:
            reply = await self._connection.client.request(
                self._settings.subject, body, timeout=timeout_s, headers=headers
            )
            acknowledgement: dict[str, Any] = json.loads(reply.data)
        except (NatsError, OSError, ValueError):
            return None
        return acknowledgement if "seq" in acknowledgement else None

    def _unavailable(self, detail: str) -> BackplaneUnavailableError:
        self._counters["unavailable"] += 1
        return BackplaneUnavailableError(detail)
