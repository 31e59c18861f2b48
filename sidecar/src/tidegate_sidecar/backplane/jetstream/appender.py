"""Appending to a JetStream stream: many at once, each acknowledged, repeated while it may help.

Every entry has a message id, so that repeating it after a lost connection cannot store it twice
(the stream's duplicate window); the publisher's key, where there is one, is that id and holds on
every pod. An answer is read error first: a refusal carries a sequence, too (0). And an id is
answered only for what stands there: a duplicate is compared with the entry in the stream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from nats.errors import Error as NatsError
from nats.js.api import Header
from nats.js.errors import APIError, NotFoundError

from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate_sidecar.backplane import entries
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.jetstream.problems import Troubles, problem_of
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

RETRY_S: Final = 0.1
"""Between two tries of one append: short against a broker's restart, long against its work."""

_TOO_LARGE: Final = 10054
_MAY_PASS: Final = frozenset({10008, 10009, 10158})
"""No leader at the moment, not the leader any more, the first try of this id still on its way."""


class Stored(NamedTuple):
    """Where an entry stands, and whether it was there before."""

    seq: int
    repeated: bool


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
        self.troubles = Troubles(clock)
        """Why entries are refused, until one is stored."""

    async def append(self, body: bytes, key: str | None) -> Stored:
        """Store `body`.

        Raises `BackplaneUnavailableError`, with the server's words where it gave a reason, and
        `CallerError` for what the server would never take and for a key of another entry.
        """
        if self._in_flight >= self._settings.max_in_flight:
            raise self._unavailable("too many appends are waiting")
        self._sent += 1
        name = f"u.{self._instance}.{self._sent}" if key is None else f"k.{quote(key, safe='')}"
        headers = {**self._headers, Header.MSG_ID.value: name}
        self._check_size(len(body) + _header_bytes(headers))
        self._in_flight += 1
        try:
            stored = await self._until_acknowledged(body, headers)
        finally:
            self._in_flight -= 1
        self._counters["duplicates" if stored.repeated else "appended"] += 1
        self.troubles.over()
        return stored

    def _check_size(self, size: int) -> None:
        """A message above the limit costs the whole pod its connection; headers count."""
        limit = self._connection.client.max_payload
        if self._connection.is_connected and size > limit:
            detail = f"the log takes {limit} bytes with its headers, this is {size}"
            raise CallerError("event_too_large", detail, "data", status=413)

    async def _until_acknowledged(self, body: bytes, headers: dict[str, str]) -> Stored:
        give_up_at = self._clock() + self._settings.append_timeout_s
        failure: Exception | None = None
        while (left_s := give_up_at - self._clock()) > 0:
            if not await self._connection.wait_trusted(left_s):
                break
            connection = self._connection.trusted
            try:
                answer = await self._try(body, headers, left_s)
                stored = await self._checked(answer, body, headers)
                if self._connection.trusted == connection:
                    return stored
                # The log behind the connection may be another one by now: asked again, with the
                # same id, it answers where the entry stands in that one.
            except APIError as error:
                if error.err_code not in _MAY_PASS:
                    raise self._refused(error) from None
                failure = error
            except (NatsError, OSError, ValueError) as error:
                failure = error
            self._counters["retried"] += 1
            await asyncio.sleep(RETRY_S)
        raise self._gave_up(failure)

    async def _try(self, body: bytes, headers: dict[str, str], left_s: float) -> dict[str, Any]:
        timeout_s = max(RETRY_S, min(left_s, self._settings.attempt_timeout_s))
        reply = await self._connection.client.request(
            self._settings.subject, body, timeout=timeout_s, headers=headers
        )
        answer = json.loads(reply.data)
        if not isinstance(answer, dict):
            raise ValueError("not an acknowledgement")
        if answer.get("error"):
            raise APIError.from_error(answer["error"])
        if not isinstance(answer.get("seq"), int) or answer["seq"] < 1:
            raise ValueError("an acknowledgement without a sequence")
        return answer

    async def _checked(
        self, answer: dict[str, Any], body: bytes, headers: dict[str, str]
    ) -> Stored:
        """The entry that was answered for, read back where the server calls it a duplicate."""
        stored = Stored(answer["seq"], bool(answer.get("duplicate")))
        if not stored.repeated:
            return stored
        try:
            there = await self._connection.context.get_msg(self._settings.stream, stored.seq)
        except NotFoundError:
            return stored  # thrown away meanwhile
        name = Header.MSG_ID.value
        if (there.headers or {}).get(name) != headers[name]:
            raise ValueError("the sequence of another entry")
        if there.data != body:
            raise entries.key_reused()
        return stored

    def _refused(self, error: APIError) -> BackplaneUnavailableError | CallerError:
        if error.err_code == _TOO_LARGE:
            return CallerError("event_too_large", str(error.description), "data", status=413)
        self._counters["refused"] += 1
        self.troubles.met(problem_of(error, self._settings))
        return self._unavailable(f"the log refuses the event: {error.description}")

    def _gave_up(self, failure: Exception | None) -> BackplaneUnavailableError:
        denied = self._connection.denied
        if denied is not None:
            self._counters["refused"] += 1
            self.troubles.met(problem_of(denied, self._settings))
            return self._unavailable(f"the log refuses the event: {denied}")
        words = failure.description if isinstance(failure, APIError) else None
        if words is not None and failure is not None:
            self.troubles.met(problem_of(failure, self._settings))
        return self._unavailable(f"the log does not acknowledge{f': {words}' if words else ''}")

    def _unavailable(self, detail: str) -> BackplaneUnavailableError:
        self._counters["unavailable"] += 1
        return BackplaneUnavailableError(detail)


def _header_bytes(headers: dict[str, str]) -> int:
    """The size of a header block (NATS ADR-4), which the server counts as payload."""
    lines = sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
    return len("NATS/1.0\r\n") + lines + len("\r\n")
