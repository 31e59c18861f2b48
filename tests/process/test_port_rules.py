"""The rules of one port's connections, on virtual time."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from tidegate_process.descriptors import Descriptors
from tidegate_process.limits import REASONS, PortLimits
from tidegate_process.ports import Port, PortMetrics

LIMITS = PortLimits(
    connections=4,
    head_s=10,
    request_s=60,
    write_s=30,
    body_bytes=1000,
    kept=2,
    kept_paths=frozenset({b"/livez"}),
)


class Connection:
    def __init__(self) -> None:
        self.ended = False

    def end(self) -> None:
        self.ended = True


class World:
    def __init__(self, descriptors_below: int | None = None) -> None:
        self.now = 0.0
        self.port = Port("admin", LIMITS, lambda: self.now, descriptors_below)

    def opened(self, descriptor: int = 20) -> Connection:
        connection = Connection()
        self.port.opened(connection, descriptor)
        return connection


def test_a_full_port_ends_the_connection_that_is_idle_the_longest() -> None:
    world = World()
    first, second, *_ = [world.opened() for _ in range(4)]
    assert world.port.begin(first, b"/status")
    newest = world.opened()
    assert (first.ended, second.ended, newest.ended) == (False, True, False)
    assert world.port.count == 4
    assert world.port.refused == {"connections": 1}


def test_an_answered_connection_is_idle_again_and_the_youngest() -> None:
    world = World()
    connections = [world.opened() for _ in range(4)]
    world.port.begin(connections[0], b"/status")
    world.port.answered(connections[0])
    world.opened()
    assert [c.ended for c in connections] == [False, True, False, False]


def test_the_last_places_are_for_probes() -> None:
    world = World()
    connections = [world.opened() for _ in range(4)]
    begun = [world.port.begin(c, b"/status") for c in connections[:3]]
    assert begun == [True, True, False]
    assert world.port.begin(connections[3], b"/livez")
    assert world.port.refused == {"busy": 1}


def test_where_all_are_busy_the_new_one_goes() -> None:
    world = World()
    for _ in range(4):
        world.port.begin(world.opened(), b"/livez")
    assert world.opened().ended
    assert world.port.count == 4


@pytest.mark.parametrize(
    ("step", "limit_s", "reason"),
    [("head", 10, "slow_head"), ("request", 60, "slow_body"), ("write", 30, "unread_answer")],
)
def test_each_step_has_its_time(step: str, limit_s: float, reason: str) -> None:
    world = World()
    slow, quick = world.opened(), world.opened()
    if step != "head":
        for connection in (slow, quick):
            world.port.begin(connection, b"/status")
    if step == "write":
        for connection in (slow, quick):
            world.port.requests.done(connection)
            world.port.writes.begin(connection)
    world.port.closed(quick)
    world.now = limit_s - 0.001
    world.port.expire()
    assert not slow.ended
    world.now = limit_s
    world.port.expire()
    assert (slow.ended, quick.ended) == (True, False)
    assert world.port.refused == {reason: 1}


def test_bytes_that_trickle_in_win_no_time() -> None:
    world = World()
    slow = world.opened()
    for second in range(11):
        world.now = float(second)
        world.port.heads.begin(slow)
        world.port.expire()
    assert slow.ended


def test_out_of_descriptors_the_newest_and_the_one_idle_the_longest_go() -> None:
    world = World(descriptors_below=100)
    waiting, other = world.opened(98), world.opened(99)
    newest = world.opened(100)
    assert (waiting.ended, other.ended, newest.ended) == (True, False, True)
    assert world.port.refused == {"descriptors": 1}
    assert not world.opened(98).ended


@pytest.mark.parametrize("limit", [64, 128, 256, 1024, 20_000, 1_048_576])
def test_descriptors_are_shared_out_in_order(limit: int) -> None:
    shares = Descriptors(limit)
    assert 0 < shares.for_streams < shares.below_public < shares.below_own < limit
    assert shares.for_streams >= limit // 4


def test_metrics_show_connections_and_refusals() -> None:
    world = World()
    for _ in range(5):
        world.opened()
    registry = CollectorRegistry()
    registry.register(PortMetrics([world.port]))
    value = registry.get_sample_value
    assert value("tidegate_port_connections", {"port": "admin"}) == 4
    refused = {
        reason: value("tidegate_port_refused_total", {"port": "admin", "reason": reason})
        for reason in REASONS
    }
    assert refused == {**dict.fromkeys(REASONS, 0), "connections": 1}


def test_above_the_budget_of_bodies_the_largest_is_ended() -> None:
    world = World()
    small, large, other = (world.opened() for _ in range(3))
    for connection, size in ((small, 100), (large, 600), (other, 300)):
        world.port.received(connection, size)
    assert world.port.refused == {}
    world.port.received(small, 1)
    assert (small.ended, large.ended, other.ended) == (False, True, False)
    assert world.port.body_bytes == 401
    world.port.answered(small)
    world.port.closed(other)
    assert world.port.body_bytes == 0
    assert world.port.refused == {"body_bytes": 1}


def test_a_handshake_has_its_own_time_and_takes_a_place() -> None:
    world = World()
    handshakes = [Connection() for _ in range(5)]
    for handshake in handshakes:
        world.port.accepted(handshake, 20)
    assert [h.ended for h in handshakes] == [True, False, False, False, False]
    world.now = LIMITS.handshake_s
    world.port.expire()
    assert all(h.ended for h in handshakes)
    assert world.port.refused == {"connections": 1, "slow_handshake": 4}
    assert world.port.count == 0
