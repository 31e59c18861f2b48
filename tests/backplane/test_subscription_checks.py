"""One reading of a stream: what it does when the server's messages are not as they should be."""

import json
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tidegate.contract.sidecar import READ_BATCH_EVENTS
from tidegate.stream.log import LogEntry
from tidegate_sidecar.backplane.jetstream.subscription import Subscription
from tidegate_sidecar.backplane.jetstream.witness import LastRead

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

Deliver = Callable[[Any], Awaitable[None]]


async def deaf(message: object) -> None:
    """Nothing is subscribed yet."""


class Connection:
    """As much of a NATS client as a subscription uses."""

    is_closed = False

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.pending = 0
        self.unsubscribed = False
        self.deliver: Deliver = deaf

    def new_inbox(self) -> str:
        return "_INBOX.1"

    async def subscribe(self, subject: str, cb: Deliver, **_: Any) -> Any:
        self.deliver = cb
        connection = self

        class Core:
            @property
            def pending_msgs(self) -> int:
                return connection.pending

            async def unsubscribe(self) -> None:
                connection.unsubscribed = True

        return Core()

    async def publish(self, subject: str) -> None:
        self.answered.append(subject)


class Owner:
    def __init__(self) -> None:
        self.batches: list[tuple[list[int], int, int]] = []

    async def batch(self, found: Sequence[LogEntry], last: LastRead, pending: int) -> None:
        assert last.stored_at == 1.7
        self.batches.append(([e.seq for e in found], last.seq, pending))


class Stream:
    async def add_consumer(self, name: str, config: Any) -> SimpleNamespace:
        assert config.opt_start_seq == 5
        return SimpleNamespace(num_pending=3)


def event(seq: int, in_consumer: int, pending: int = 0, domain: bool = False) -> SimpleNamespace:
    head = "$JS.ACK.hub.ACC" if domain else "$JS.ACK"
    tail = ".token" if domain else ""
    reply = f"{head}.APP.consumer.1.{seq}.{in_consumer}.1700000000.{pending}{tail}"
    body = json.dumps({"to": "all", "data": "x"}).encode()
    return SimpleNamespace(data=body, reply=reply, headers=None)


def control(reply: str = "", **headers: str) -> SimpleNamespace:
    return SimpleNamespace(data=b"", reply=reply, headers={"Status": "100"} | headers)


@pytest.fixture
async def reading() -> SimpleNamespace:
    connection, owner = Connection(), Owner()
    client, stream = cast("Client", connection), cast("JetStreamContext", Stream())
    counters = {"malformed": 0}
    subscription = Subscription(client, owner, 5, lambda: 0.0, counters)
    assert await subscription.subscribe(stream, "APP") == 3
    return SimpleNamespace(
        subscription=subscription, owner=owner, connection=connection, deliver=connection.deliver
    )


@pytest.mark.parametrize("domain", [False, True], ids=["short reply", "reply with a domain"])
async def test_entries_are_handed_over_with_their_position(
    reading: SimpleNamespace, domain: bool
) -> None:
    await reading.deliver(event(5, 1, 1, domain))
    await reading.deliver(event(9, 2, 0, domain))
    assert reading.owner.batches == [([5], 5, 1), ([9], 9, 0)]


async def test_while_more_is_at_hand_it_collects_up_to_a_batch(reading: SimpleNamespace) -> None:
    reading.connection.pending = 1
    for i in range(READ_BATCH_EVENTS + 1):
        await reading.deliver(event(5 + i, 1 + i, pending=1000))
    assert [len(found) for found, _, _ in reading.owner.batches] == [READ_BATCH_EVENTS]


async def test_a_hole_in_the_consumers_sequence_breaks_it_before_anything_is_skipped(
    reading: SimpleNamespace,
) -> None:
    await reading.deliver(event(5, 1))
    await reading.deliver(event(7, 3))
    await reading.deliver(event(8, 4))
    assert reading.subscription.broken
    assert reading.owner.batches == [([5], 5, 0)]


async def test_a_heartbeat_that_knows_of_more_breaks_it(reading: SimpleNamespace) -> None:
    await reading.deliver(event(5, 1))
    await reading.deliver(control(**{"Nats-Last-Consumer": "1"}))
    assert not reading.subscription.broken
    await reading.deliver(control(**{"Nats-Last-Consumer": "2"}))
    assert reading.subscription.broken


async def test_flow_control_is_answered_when_what_came_before_is_read(
    reading: SimpleNamespace,
) -> None:
    reading.connection.pending = 1
    await reading.deliver(event(5, 1, pending=9))
    assert reading.owner.batches == []
    await reading.deliver(control(reply="$JS.FC.1"))
    assert reading.owner.batches == [([5], 5, 9)], "and not taken for the end of the fill"
    await reading.deliver(control(**{"Nats-Consumer-Stalled": "$JS.FC.2"}))
    assert reading.connection.answered == ["$JS.FC.1", "$JS.FC.2"]


async def test_once_stopped_it_says_nothing_more(reading: SimpleNamespace) -> None:
    await reading.subscription.stop()
    await reading.deliver(event(5, 1))
    assert reading.owner.batches == []
    assert reading.connection.unsubscribed
