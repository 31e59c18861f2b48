"""What must hold for a connector whatever happens to it, in whatever order."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.wire.decode import Event
from tidegate_client.actions import Abort, Action, Deliver, Moment, Open, TellStopped
from tidegate_client.connector import Connector
from tidegate_client.decisions import Settings

CONNECTED = '{"pod":"%s","heartbeat_ms":15000,"spread_ms":0}'
SHUTDOWN = '{"reason":"drain","reconnect_after_ms":%d,"deadline_ms":5000}'

steps = st.one_of(
    st.tuples(st.just("connect"), st.just(0)),
    st.tuples(st.just("close"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 20_000)),
    st.tuples(st.just("wake"), st.just(0)),
    st.tuples(st.just("status"), st.sampled_from([200, 200, 200, 204, 401, 404, 429, 503])),
    st.tuples(st.just("connected"), st.sampled_from([0, 1])),
    st.tuples(st.just("event"), st.just(0)),
    st.tuples(st.just("shutdown"), st.sampled_from([0, 0, 1000])),
    st.tuples(st.just("ended"), st.just(0)),
)


class World:
    """Obeys a connector and holds what it has been told to hold."""

    def __init__(self) -> None:
        self.connector = Connector(Settings(renewable=True))
        self.now_ms = 0.0
        self.held: list[int] = []
        self.opened: set[int] = set()
        self.seq = 0

    def obey(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open(conn):
                    assert conn not in self.held
                    self.held.append(conn)
                case Abort(conn):
                    if conn in self.held:
                        self.held.remove(conn)
                case Deliver(event):
                    assert event.id == self.connector.last_event_id
                case TellStopped():
                    assert not self.held
        assert len(self.held) <= 2
        assert all(self.connector.holds(conn) for conn in self.held)
        state, deadline_ms = self.connector.ready_state, self.connector.deadline_ms()
        if state == "closed":
            assert not self.held
            assert deadline_ms == math.inf
        if state == "connecting":
            assert deadline_ms < math.inf, "nothing would ever happen again"
        if state == "open":
            assert self.held

    def at(self) -> Moment:
        return Moment(self.now_ms, 0.5)

    def step(self, what: str, value: int, conn: int) -> None:
        connector = self.connector
        match what:
            case "connect":
                self.obey(connector.connect(self.at()))
            case "close":
                self.obey(connector.close())
            case "wait":
                self.now_ms += value
                if self.now_ms >= connector.deadline_ms():
                    self.obey(connector.tick(self.at()))
            case "wake":
                self.obey(connector.wake(self.at()))
            case "status" if conn not in self.opened:
                self.opened.add(conn)
                kind = "text/event-stream"
                self.obey(connector.responded(conn, value, kind, 0, self.at()))
            case "ended":
                self.obey(connector.ended(conn, "eof", self.at()))
            case "connected" | "event" | "shutdown" if conn in self.opened:
                self.seq += what == "event"
                data = {"connected": CONNECTED % value, "event": "x"}.get(what, SHUTDOWN % value)
                kind = "message" if what == "event" else what
                event = Event(kind, data, f"e-{self.seq}")
                self.obey(connector.event(conn, event, self.at()))


@settings(max_examples=300)
@given(st.lists(st.tuples(steps, st.integers(0, 2)), max_size=60))
def test_never_more_than_two_never_stuck_nothing_after_close(
    script: list[tuple[tuple[str, int], int]],
) -> None:
    world = World()
    for (what, value), back in script:
        newest = max(world.held, default=0)
        world.step(what, value, max(0, newest - back))
    world.obey(world.connector.close())
    assert not world.held
