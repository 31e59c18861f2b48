"""One reading of a stream: what it does when the server's messages are not as they should be."""

import json
from types import SimpleNamespace

import pytest

from tidegate.contract.sidecar import READ_BATCH_EVENTS
from tidegate_sidecar.backplane.jetstream.subscription import Subscription


class Connection:
    """As much of a NATS client as a subscription uses."""

    is_closed = False

    def __init__(self):
        self.answered = []
        self.pending = 0

    def new_inbox(self):
        return "_INBOX.1"

    async def subscribe(self, subject, cb, **_):
        self.deliver = cb
        connection = self

        class Core:
            @property
            def pending_msgs(self):
                return connection.pending

            async def unsubscribe(self):
                connection.unsubscribed = True

        return Core()

    async def publish(self, subject):
        self.answered.append(subject)


class Owner:
    def __init__(self):
        self.batches = []

    async def batch(self, found, position, pending):
        self.batches.append(([e.seq for e in found], position, pending))


class Stream:
    async def add_consumer(self, name, config):
        assert config.opt_start_seq == 5
        return SimpleNamespace(num_pending=3)


def event(seq, in_consumer, pending=0, domain=False):
    head = "$JS.ACK.hub.ACC" if domain else "$JS.ACK"
    tail = ".token" if domain else ""
    reply = f"{head}.APP.consumer.1.{seq}.{in_consumer}.1700000000.{pending}{tail}"
    body = json.dumps({"to": "all", "data": "x"}).encode()
    return SimpleNamespace(data=body, reply=reply, headers=None)


def control(reply="", **headers):
    return SimpleNamespace(data=b"", reply=reply, headers={"Status": "100"} | headers)


@pytest.fixture
async def reading():
    connection, owner = Connection(), Owner()
    counters = {"malformed": 0}
    subscription = Subscription(connection, owner, 5, lambda: 0.0, counters)
    assert await subscription.subscribe(Stream(), "APP") == 3
    return SimpleNamespace(
        subscription=subscription, owner=owner, connection=connection, deliver=connection.deliver
    )


@pytest.mark.parametrize("domain", [False, True], ids=["short reply", "reply with a domain"])
async def test_entries_are_handed_over_with_their_position(reading, domain):
    await reading.deliver(event(5, 1, 1, domain))
    await reading.deliver(event(9, 2, 0, domain))
    assert reading.owner.batches == [([5], 5, 1), ([9], 9, 0)]


async def test_while_more_is_at_hand_it_collects_up_to_a_batch(reading):
    reading.connection.pending = 1
    for i in range(READ_BATCH_EVENTS + 1):
        await reading.deliver(event(5 + i, 1 + i, pending=1000))
    assert [len(found) for found, _, _ in reading.owner.batches] == [READ_BATCH_EVENTS]


async def test_a_hole_in_the_consumers_sequence_breaks_it_before_anything_is_skipped(reading):
    await reading.deliver(event(5, 1))
    await reading.deliver(event(7, 3))
    await reading.deliver(event(8, 4))
    assert reading.subscription.broken
    assert reading.owner.batches == [([5], 5, 0)]


async def test_a_heartbeat_that_knows_of_more_breaks_it(reading):
    await reading.deliver(event(5, 1))
    await reading.deliver(control(**{"Nats-Last-Consumer": "1"}))
    assert not reading.subscription.broken
    await reading.deliver(control(**{"Nats-Last-Consumer": "2"}))
    assert reading.subscription.broken


async def test_flow_control_is_answered_when_what_came_before_is_read(reading):
    reading.connection.pending = 1
    await reading.deliver(event(5, 1, pending=9))
    assert reading.owner.batches == []
    await reading.deliver(control(reply="$JS.FC.1"))
    assert reading.owner.batches == [([5], 5, 9)], "and not taken for the end of the fill"
    await reading.deliver(control(**{"Nats-Consumer-Stalled": "$JS.FC.2"}))
    assert reading.connection.answered == ["$JS.FC.1", "$JS.FC.2"]


async def test_once_stopped_it_says_nothing_more(reading):
    await reading.subscription.stop()
    await reading.deliver(event(5, 1))
    assert reading.owner.batches == []
    assert reading.connection.unsubscribed
