"""When to open, keep and leave connections: one state machine without clock, socket, randomness.

Inputs are events with their time; each returns the actions a shell has to carry out, in order.
The TypeScript client holds the same machine, and both run the scenarios in `tests/vectors/client`.

There are at most two connections (`connections`). A goodbye starts the handover, make before
break; every connection has a number, so nothing late can revive anything. A goodbye, a bounce and
a drain are appointments: they are kept and use no attempt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tidegate.contract.stream_events import CONNECTED, CURSOR, GAP, SHUTDOWN, is_reserved
from tidegate.wire.decode import Event
from tidegate_client.actions import (
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
from tidegate_client.connections import Connection, Connections
from tidegate_client.controls import read_control
from tidegate_client.decisions import Settings, judge
from tidegate_client.return_time import ReturnTime


class Connector:
    """The machine. Without a network (`online` false) failures never exhaust the attempts.

    `last_event_id` is the position received; the next connection resumes after it.
    """

    def __init__(self, settings: Settings, last_event_id: str = "") -> None:
        self.ready_state: ReadyState = "closed"
        self.last_event_id = last_event_id
        self.online = True
        self._settings = settings
        self._conns = Connections(settings)
        self._return = ReturnTime(settings)
        self._renewed = False
        self._exhausted = False
        self._hands_over = False

    def connect(self, at: Moment) -> list[Action]:
        """Start, unless started."""
        if self.ready_state != "closed":
            return []
        self.ready_state = "connecting"
        self._return.attempt = 0
        self._renewed = self._exhausted = False
        return [self._open(at)]

    def close(self) -> list[Action]:
        """End everything, from any state."""
        self.ready_state = "closed"
        self._exhausted = False
        self._return.due_ms = math.inf
        return self._conns.abort(2)

    def holds(self, conn: int) -> bool:
        """Whether a connection is still wanted."""
        return self._conns.find(conn) is not None

    def deadline_ms(self) -> float:
        """When `tick` is due next; infinity: never."""
        return min(self._return.due_ms, self._conns.deadline_ms())

    def responded(
        self, conn: int, status: int, content_type: str, retry_after_ms: float, at: Moment
    ) -> list[Action]:
        """Response headers have come; `retry_after_ms` is 0 without the header."""
        held = self._conns.find(conn)
        if held is None:
            return []
        verdict = judge(status, content_type)
        if verdict == "stream":
            return self._opened(held, at)
        if verdict == "renew":
            return self._renew(held, status, at)
        if verdict != "retry":
            return self._stop(verdict, status)
        # A 503 was not processed; after another 5xx a POST may have been carried out.
        if self._settings.repeat == "unanswered" and status >= 500 and status != 503:
            return self._stop("refused", status)
        if status == 429 and held is not self._conns.first:
            delay_ms = self._return.no_room(at, retry_after_ms)
            return [*self._conns.abort(2), self._lost("planned", delay_ms, status)]
        return self._fail(held, "status", at, retry_after_ms, status)

    def activity(self, conn: int, now_ms: float) -> None:
        """Bytes have come, whatever they are."""
        held = self._conns.find(conn)
        if held is not None:
            held.active_ms = now_ms

    def retry(self, conn: int, retry_ms: float) -> None:
        """A ``retry:`` line has come."""
        if self._conns.speaking(conn) is not None:
            self._return.instruct(retry_ms)

    def position(self, conn: int, last_event_id: str) -> None:
        """The decoder stands at this id, also where no event was dispatched."""
        if self._conns.speaking(conn) is not None:
            self.last_event_id = last_event_id

    def event(self, conn: int, event: Event, at: Moment) -> list[Action]:
        """An event has come.

        In a Tidegate stream the reserved names are the server's own: those that are understood are
        obeyed and delivered as such, the others go no further.
        """
        held = self._conns.speaking(conn)
        if held is None:
            return []
        if event.type == SHUTDOWN and (held.tidegate or not held.live):
            goodbye = read_control(event.data, "reconnect_after_ms", "deadline_ms")
            if goodbye is not None:
                self._return.instruct(goodbye["reconnect_after_ms"])
                self._return.assigned = False
                if not held.live:
                    return self._gone(held, "bounce", self._return.bounced(at))
                # What has expired is the token and not the pod: the same one again will do.
                held.led_nowhere = goodbye.get("reason") == "expired"
                return self._leave(held, event, goodbye["deadline_ms"], at)
        connected = None
        if not held.live:
            if event.type == CONNECTED:
                connected = read_control(event.data, "heartbeat_ms", "spread_ms")
            if connected is not None and self._leads_nowhere(held, connected.get("pod"), at):
                return self._try_elsewhere(held, at)
            self._meet(held, connected or {})
        return self._deliver(held, event, known=connected is not None or event.type == CURSOR)

    def ended(self, conn: int, how: Ending, at: Moment) -> list[Action]:
        """A connection has ended: cleanly, by an error, or by what no repetition mends."""
        held = self._conns.find(conn)
        if held is None:
            return []
        if how != "eof" and how != "error":
            # An oversized event would come again: resuming in front of it would never end.
            return self._stop(how, 200 if held.opened else 0)
        return self._fail(held, how, at) if held.leave_ms is None else self._break_old(at)

    def tick(self, at: Moment) -> list[Action]:
        """Time has passed: do what is due."""
        actions: list[Action] = []
        for held in self._conns.expired(at.now_ms):
            actions += self._fail(held, "idle" if held.opened else "timeout", at)
        if at.now_ms >= self._conns.leave_by_ms():
            actions += self._break_old(at)
        if self._return.is_due(at):
            actions.append(self._open(at))
        return actions

    def wake(self, at: Moment) -> list[Action]:
        """The network is back: hurry, but not before the server's floor.

        A client that has used up its attempts starts again.
        """
        if self._exhausted:
            return self.connect(at)
        self._return.hurry(at)
        return self.tick(at)

    def _open(self, at: Moment, renew: int = 0) -> Open:
        opening = self._conns.add(at.now_ms)
        self._return.due_ms = math.inf
        wanted = self._settings.handover
        handover = self._hands_over if wanted == "auto" else wanted
        return Open(opening.conn, self.last_event_id, renew, handover)

    def _opened(self, held: Connection, at: Moment) -> list[Action]:
        held.opened = True
        held.since_ms = held.active_ms = at.now_ms
        self._renewed = False
        if self.ready_state == "open":
            return []
        self.ready_state = "open"
        return [TellOpened()]

    def _meet(self, held: Connection, connected: Mapping[str, Any]) -> None:
        """Note the server's announcements; those of another server do not count for this one."""
        held.tidegate = bool(connected)
        held.pod = connected.get("pod")
        self._hands_over = connected.get("handover") is True
        self._conns.heartbeat_ms = connected.get("heartbeat_ms", 0)
        self._return.assigned = connected.get("spread_ms", 0) > 0

    def _deliver(self, held: Connection, event: Event, *, known: bool) -> list[Action]:
        """Hand an event over, unless it is one of the server's own that is not `known`."""
        held.live = True
        self.last_event_id = event.id
        # The first event of the next connection is the moment at which the old one is not needed.
        actions = self._conns.abort_before(held)
        control = held.tidegate and event.type != GAP and is_reserved(event.type)
        if not control:
            # Progress is what the application is given; a server that only greets makes none.
            self._return.attempt = 0
        return actions if control and not known else [*actions, Deliver(event, control)]

    def _leave(
        self, held: Connection, event: Event, deadline_ms: float, at: Moment
    ) -> list[Action]:
        """A planned move uses no attempt and gets no jitter: the server keeps the slots."""
        self.last_event_id = event.id
        self._rest_if_stable(held, at)
        self._return.planned(at)
        actions: list[Action] = [Deliver(event, True)]
        if self._settings.repeat == "unanswered":
            return [*actions, *self._stop("interrupted", 200)]
        if self._settings.handover and deadline_ms:
            held.leave_ms = at.now_ms + deadline_ms
        else:
            actions += [*self._conns.abort(1), self._lost("planned", self._return.floor_ms, 0)]
        if not self._return.floor_ms:
            actions.append(self._open(at))
        return actions

    def _leads_nowhere(self, held: Connection, pod: object, at: Moment) -> bool:
        """A handover to the very same pod is tried once more, while the old stream lasts."""
        old = self._conns.held[0]
        if held is old or old.pod != pod or old.led_nowhere or old.leave_ms is None:
            return False
        return at.now_ms + self._return.spread_ms(at) < old.leave_ms

    def _try_elsewhere(self, held: Connection, at: Moment) -> list[Action]:
        self._conns.held[0].led_nowhere = True
        self._return.soon(at)
        return self._conns.drop(held)

    def _break_old(self, at: Moment) -> list[Action]:
        """The old connection goes, or has gone, before the next one has sent anything."""
        actions = self._conns.abort(1)
        if self._conns.held and self._conns.held[0].opened:
            return actions
        wait_ms = 0.0 if self._conns.held else max(0.0, self._return.due_ms - at.now_ms)
        return [*actions, self._lost("planned", wait_ms, 0)]

    def _renew(self, held: Connection, status: int, at: Moment) -> list[Action]:
        if self._renewed or not self._settings.renewable:
            return self._stop("unauthorized", status)
        self._renewed = True
        return [*self._conns.drop(held), self._open(at, status)]

    def _fail(
        self,
        held: Connection,
        reason: LostReason,
        at: Moment,
        retry_after_ms: float = 0,
        status: int = 0,
    ) -> list[Action]:
        repeat = self._settings.repeat
        if held.opened and repeat != "always":
            if reason == "eof":
                return self._stop("ended", 200)
            if repeat == "unanswered":
                return self._stop("interrupted", 200)
        self._rest_if_stable(held, at)
        self._return.attempt += 1
        if self._return.attempt > self._settings.max_attempts and self.online:
            actions = self._stop("exhausted", status, reason)
            self._exhausted = True
            return actions
        return self._gone(held, reason, self._return.failed(at, retry_after_ms), status)

    def _gone(
        self, held: Connection, reason: LostReason, delay_ms: float, status: int = 0
    ) -> list[Action]:
        actions = self._conns.drop(held)
        return actions if self._conns.held else [*actions, self._lost(reason, delay_ms, status)]

    def _lost(self, reason: LostReason, delay_ms: float, status: int) -> TellLost:
        self.ready_state = "connecting"
        return TellLost(reason, delay_ms, self._return.attempt, status)

    def _stop(
        self, reason: StopReason, status: int, last: LostReason | None = None
    ) -> list[Action]:
        return [*self.close(), TellStopped(reason, self._return.attempt, status, last)]

    def _rest_if_stable(self, held: Connection, at: Moment) -> None:
        if held.opened and at.now_ms - held.since_ms >= self._settings.stable_ms:
            self._return.attempt = 0
