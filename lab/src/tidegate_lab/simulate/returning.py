"""Clients that come back after a crash: Tidegate's own, and a browser's EventSource.

Both answer the same three questions; times are milliseconds of virtual time, `random` is in [0, 1).
"""

from __future__ import annotations

import json
import math
from typing import Protocol

from tidegate.contract.stream_events import CONNECTED, SHUTDOWN, Connected, Shutdown
from tidegate.wire.decode import Event
from tidegate_client.actions import Moment, Open
from tidegate_client.connector import Connector
from tidegate_client.decisions import Settings

NATIVE_RETRY_MS = 3000
"""The EventSource's own, where the server sends none: Chrome 3 s, Firefox 5 s."""

FIREFOX_LEAST_MS = 500


class ReturningClient(Protocol):
    """One client with an open stream, later without one."""

    def cut(self, now_ms: float, random: float) -> float | None:
        """Its stream has ended without a goodbye: when it asks again, ``None`` for never."""

    def asks(self, now_ms: float, random: float) -> None:
        """The time has come; it connects."""

    def bounced(self, retry_ms: int, now_ms: float, random: float) -> float | None:
        """The door has sent it away for `retry_ms`: when it asks again, ``None`` for never."""


class NativeClient:
    """An EventSource: it waits its last ``retry:``, no longer and no shorter, and never gives up.

    Every second one is a Firefox.
    """

    def __init__(self, number: int, retry_ms: int | None, spread_ms: int) -> None:
        del spread_ms
        self._least_ms = FIREFOX_LEAST_MS if number % 2 else 0
        self._retry_ms = NATIVE_RETRY_MS if retry_ms is None else retry_ms

    def cut(self, now_ms: float, random: float) -> float | None:
        """After the ``retry:``."""
        return now_ms + max(self._retry_ms, self._least_ms)

    def asks(self, now_ms: float, random: float) -> None:
        """Nothing to note."""

    def bounced(self, retry_ms: int, now_ms: float, random: float) -> float | None:
        """After the new ``retry:``."""
        self._retry_ms = retry_ms
        return self.cut(now_ms, random)


class SmartClient:
    """The connector of Tidegate's clients, as the shells around it drive it."""

    def __init__(self, number: int, retry_ms: int | None, spread_ms: int) -> None:
        del number
        start = Moment(-3_600_000, 0.0)
        self._machine = Connector(Settings())
        self._machine.connect(start)
        self._conn = 1
        self._machine.responded(self._conn, 200, "text/event-stream", 0, start)
        connected = Connected("pod", "1", heartbeat_ms=15_000, spread_ms=spread_ms, replay=False)
        self._machine.event(self._conn, _event(CONNECTED, connected, "e-1"), start)
        if retry_ms is not None:
            self._machine.retry(self._conn, retry_ms)

    def cut(self, now_ms: float, random: float) -> float | None:
        """As after a network error."""
        self._machine.ended(self._conn, "error", Moment(now_ms, random))
        return self._due_ms()

    def asks(self, now_ms: float, random: float) -> None:
        """The machine opens its next connection."""
        (opened,) = self._machine.tick(Moment(now_ms, random))
        assert isinstance(opened, Open)
        self._conn = opened.conn

    def bounced(self, retry_ms: int, now_ms: float, random: float) -> float | None:
        """The answer is 200, ``retry:`` and a goodbye."""
        at = Moment(now_ms, random)
        self._machine.responded(self._conn, 200, "text/event-stream", 0, at)
        self._machine.retry(self._conn, retry_ms)
        goodbye = Shutdown("overloaded", reconnect_after_ms=retry_ms, deadline_ms=0)
        self._machine.event(self._conn, _event(SHUTDOWN, goodbye, ""), at)
        return self._due_ms()

    def _due_ms(self) -> float | None:
        due_ms = self._machine.deadline_ms()
        return due_ms if due_ms < math.inf else None


def _event(name: str, data: Connected | Shutdown, event_id: str) -> Event:
    return Event(name, json.dumps(data.to_json()), event_id)
