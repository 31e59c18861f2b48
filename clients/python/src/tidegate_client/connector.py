"""When to open, keep and leave connections: one state machine without clock, socket, randomness.

Inputs say what happened and when; each returns the actions a shell has to carry out, in order.
The TypeScript client holds the same machine, and both run the scenarios in `tests/vectors/client`.

There are at most two connections. The first is the one that serves; from its goodbye on it is
*leaving*, and the one that shall replace it stands second: the handover, make before break. Every
connection has a number, and what arrives for a number that is no longer held is ignored, so nothing
late can revive anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.contract.stream_events import CONNECTED, SHUTDOWN
from tidegate.wire.decode import Event
from tidegate_client.actions import (
    Abort,
    Action,
    Deliver,
    Ending,
    LostReason,
    Moment,
    Open,
    ReadyState,
    StopReason,
    TellLost,
    TellOpened,
    TellStopped,
)
from tidegate_client.controls import read_control
from tidegate_client.decisions import Floor, Settings, judge, retry_delay_ms, rounded

_SLEPT_MS = 10_000
"""A retry that fires this late has been slept over: all machines of a fleet wake at one time."""


@dataclass(slots=True)
class _Connection:
    """One connection. `since_ms`: asked for, and once opened, when that was.

    `live` once it has carried an event (a goodbye before that is a bounce); `leave_ms` from the
    goodbye on: when the server ends it at the latest; `led_nowhere` once its handover has led to
    the very same pod, after which one more is tried.
    """

    conn: int
    since_ms: float
    active_ms: float
    opened: bool = False
    pod: object = None
    live: bool = False
    leave_ms: float | None = None
    led_nowhere: bool = False


class Connector:
    """The machine. Without a network (`online` false) failures never exhaust the attempts."""

    def __init__(self, settings: Settings, last_event_id: str = "") -> None:
        self.ready_state: ReadyState = "closed"
        self.last_event_id = last_event_id
        self.online = True
        self._settings = settings
        self._conns: list[_Connection] = []
        self._retry_at_ms = math.inf
        self._not_before_ms = 0.0
        self._attempt = 0
        self._count = 0
        self._renewed = False
        self._floor_ms = 0.0
        self._assigned = False
        self._heartbeat_ms = 0.0

    def connect(self, at: Moment) -> list[Action]:
        """Start, unless started."""
        if self.ready_state != "closed":
            return []
        self.ready_state = "connecting"
        self._attempt = 0
        self._renewed = False
        return [self._open(at)]

    def close(self) -> list[Action]:
        """End everything, from any state."""
        self.ready_state = "closed"
        self._retry_at_ms = math.inf
        return self._abort(2)

    def holds(self, conn: int) -> bool:
        """Whether a connection is still wanted."""
        return self._find(conn) is not None

    def deadline_ms(self) -> float:
        """When `tick` is due next; infinity: never."""
        expiries = [self._expiry_ms(held) for held in self._conns]
        return min(self._retry_at_ms, self._leave_by_ms(), *expiries)

    def responded(
        self, conn: int, status: int, content_type: str, retry_after_ms: float, at: Moment
    ) -> list[Action]:
        """Response headers have come; `retry_after_ms` is 0 without the header."""
        held = self._find(conn)
        if held is None:
            return []
        verdict = judge(status, content_type)
        if verdict == "stream":
            return self._opened(held, at)
        if verdict == "renew":
            return self._renew(held, status, at)
        if verdict != "retry":
            return self._stop(verdict, status)
        if status == 429 and held is not self._conns[0]:
            return self._make_room(at, self._clamp(retry_after_ms))
        return self._fail(held, "status", at, retry_after_ms, status)

    def activity(self, conn: int, now_ms: float) -> None:
        """Bytes have come, whatever they are."""
        held = self._find(conn)
        if held is not None:
            held.active_ms = now_ms

    def retry(self, conn: int, retry_ms: float) -> None:
        """A ``retry:`` line has come."""
        if self._listens(conn) is not None:
            self._floor_ms = self._clamp(retry_ms)

    def position(self, conn: int, last_event_id: str) -> None:
        """The decoder stands at this id, also where no event was dispatched."""
        if self._listens(conn) is not None:
            self.last_event_id = last_event_id

    def event(self, conn: int, event: Event, at: Moment) -> list[Action]:
        """An event has come."""
        held = self._listens(conn)
        if held is None:
            return []
        if event.type == SHUTDOWN:
            goodbye = read_control(event.data, "reconnect_after_ms", "deadline_ms")
            if goodbye is not None:
                self._floor_ms = self._clamp(goodbye["reconnect_after_ms"])
                self._assigned = False
                if not held.live:
                    return self._fail(held, "bounce", at)
                return self._leave(held, event, goodbye["deadline_ms"], at)
        if event.type == CONNECTED:
            connected = read_control(event.data, "heartbeat_ms", "spread_ms")
            if connected is not None:
                if self._leads_nowhere(held, connected.get("pod"), at):
                    return self._try_elsewhere(held, at)
                held.pod = connected.get("pod")
                self._heartbeat_ms = connected["heartbeat_ms"]
                self._assigned = connected["spread_ms"] > 0
        held.live = True
        self.last_event_id = event.id
        # The first word of the next connection is the moment at which the old one is not needed.
        return [*self._abort(self._conns.index(held)), Deliver(event)]

    def ended(self, conn: int, how: Ending, at: Moment) -> list[Action]:
        """A connection has ended: cleanly, by an error, or because an event was over its bound."""
        held = self._find(conn)
        if held is None:
            return []
        if how == "oversized":
            # The event would come again: resuming in front of it for ever helps nobody.
            return self._stop(how, 200)
        return self._fail(held, how, at) if held.leave_ms is None else self._break_old(at)

    def tick(self, at: Moment) -> list[Action]:
        """Time has passed: do what is due."""
        actions: list[Action] = []
        for held in [held for held in self._conns if at.now_ms >= self._expiry_ms(held)]:
            actions += self._fail(held, "idle" if held.opened else "timeout", at)
        if at.now_ms >= self._leave_by_ms():
            actions += self._break_old(at)
        if at.now_ms - self._retry_at_ms > _SLEPT_MS:
            self._retry_at_ms = at.now_ms + self._spread_ms(at)
        if at.now_ms >= self._retry_at_ms:
            actions.append(self._open(at))
        return actions

    def wake(self, at: Moment) -> list[Action]:
        """The network is back: hurry, but not before the server's floor."""
        self._attempt = 0
        if self._retry_at_ms < math.inf:
            soon_ms = max(self._not_before_ms, at.now_ms + self._spread_ms(at))
            self._retry_at_ms = min(self._retry_at_ms, soon_ms)
        return self.tick(at)

    def _open(self, at: Moment, renew: int = 0) -> Open:
        self._count += 1
        self._conns.append(_Connection(self._count, at.now_ms, at.now_ms))
        self._retry_at_ms = math.inf
        return Open(self._count, self.last_event_id, renew)

    def _opened(self, held: _Connection, at: Moment) -> list[Action]:
        held.opened = True
        held.since_ms = held.active_ms = at.now_ms
        self._renewed = False
        if self.ready_state == "open":
            return []
        self.ready_state = "open"
        return [TellOpened()]

    def _leave(
        self, held: _Connection, event: Event, deadline_ms: float, at: Moment
    ) -> list[Action]:
        """A planned move uses no attempt and gets no jitter: the server keeps the slots."""
        self.last_event_id = event.id
        self._rest_if_stable(held, at)
        self._retry_at_ms = self._not_before_ms = at.now_ms + self._floor_ms
        actions: list[Action] = [Deliver(event)]
        if self._settings.handover and deadline_ms:
            held.leave_ms = at.now_ms + deadline_ms
        else:
            actions += [*self._abort(1), self._lost("planned", self._floor_ms, 0)]
        if not self._floor_ms:
            actions.append(self._open(at))
        return actions

    def _leads_nowhere(self, held: _Connection, pod: object, at: Moment) -> bool:
        """A handover to the very same pod is tried once more, while the old stream lasts."""
        old = self._conns[0]
        if held is old or old.pod != pod or old.led_nowhere or old.leave_ms is None:
            return False
        return at.now_ms + self._spread_ms(at) < old.leave_ms

    def _try_elsewhere(self, held: _Connection, at: Moment) -> list[Action]:
        self._conns[0].led_nowhere = True
        self._retry_at_ms = at.now_ms + self._spread_ms(at)
        return self._drop(held)

    def _make_room(self, at: Moment, floor_ms: float) -> list[Action]:
        """The server has no room for two: break before make, at no cost in attempts."""
        delay_ms = max(self._spread_ms(at), floor_ms)
        self._not_before_ms = at.now_ms + floor_ms
        self._retry_at_ms = at.now_ms + delay_ms
        return [*self._abort(2), self._lost("planned", delay_ms, 429)]

    def _break_old(self, at: Moment) -> list[Action]:
        """The old connection goes, or has gone, before the next one has said a word."""
        actions = self._abort(1)
        if self._conns and self._conns[0].opened:
            return actions
        wait_ms = 0.0 if self._conns else max(0.0, self._retry_at_ms - at.now_ms)
        return [*actions, self._lost("planned", wait_ms, 0)]

    def _renew(self, held: _Connection, status: int, at: Moment) -> list[Action]:
        if self._renewed or not self._settings.renewable:
            return self._stop("unauthorized", status)
        self._renewed = True
        return [*self._drop(held), self._open(at, status)]

    def _fail(
        self,
        held: _Connection,
        reason: LostReason,
        at: Moment,
        retry_after_ms: float = 0,
        status: int = 0,
    ) -> list[Action]:
        self._rest_if_stable(held, at)
        actions = self._drop(held)
        self._attempt += 1
        if self._attempt > self._settings.max_attempts and self.online:
            return [*actions, *self._stop("exhausted", status)]
        floor_ms = max(self._floor_ms, self._clamp(retry_after_ms))
        # Retry-After is the same for all it was told to, so the spread must come from here.
        floor = Floor(floor_ms, self._assigned and not retry_after_ms)
        delay_ms = retry_delay_ms(self._attempt, floor, at.random, self._settings)
        self._not_before_ms = at.now_ms + floor_ms
        self._retry_at_ms = at.now_ms + delay_ms
        return actions if self._conns else [*actions, self._lost(reason, delay_ms, status)]

    def _lost(self, reason: LostReason, delay_ms: float, status: int) -> TellLost:
        self.ready_state = "connecting"
        return TellLost(reason, delay_ms, self._attempt, status)

    def _stop(self, reason: StopReason, status: int) -> list[Action]:
        return [*self.close(), TellStopped(reason, self._attempt, status)]

    def _rest_if_stable(self, held: _Connection, at: Moment) -> None:
        if held.opened and at.now_ms - held.since_ms >= self._settings.stable_ms:
            self._attempt = 0

    def _abort(self, count: int) -> list[Action]:
        """Let go of the first `count` connections."""
        gone, self._conns = self._conns[:count], self._conns[count:]
        return [Abort(held.conn) for held in gone]

    def _drop(self, held: _Connection) -> list[Action]:
        self._conns.remove(held)
        return [Abort(held.conn)]

    def _find(self, conn: int) -> _Connection | None:
        return next((held for held in self._conns if held.conn == conn), None)

    def _listens(self, conn: int) -> _Connection | None:
        """Nothing counts that a connection says after its goodbye."""
        held = self._find(conn)
        return held if held is not None and held.leave_ms is None else None

    def _expiry_ms(self, held: _Connection) -> float:
        if held.leave_ms is not None:
            return math.inf
        if not held.opened:
            return held.since_ms + self._settings.connect_timeout_ms
        idle_ms = self._settings.idle_timeout_ms or 3 * self._heartbeat_ms or math.inf
        return held.active_ms + idle_ms

    def _leave_by_ms(self) -> float:
        """When the old connection must go: at its deadline, or to make room for a next."""
        if not self._conns or self._conns[0].leave_ms is None:
            return math.inf
        if len(self._conns) == 1:
            return self._conns[0].leave_ms
        patience_ms = self._conns[1].since_ms + self._settings.handover_patience_ms
        return min(self._conns[0].leave_ms, patience_ms)

    def _spread_ms(self, at: Moment) -> int:
        return rounded(at.random * self._settings.initial_delay_ms)

    def _clamp(self, ms: float) -> float:
        return min(ms, self._settings.max_instructed_ms)
