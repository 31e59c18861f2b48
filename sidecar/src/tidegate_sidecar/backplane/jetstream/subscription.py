"""One reading of a JetStream stream: an ephemeral push consumer, checked message by message.

nats-py has an ordered consumer of its own; it repairs itself by swapping private state under its
feet and cannot say that it had to. Here a subscription is used once: at the first sign of trouble
(a hole in the consumer's sequence, silence beyond two heartbeats) it says so, and its owner makes a
new one from the position reached. Back-pressure is JetStream's flow control: the answer is sent
when what came before it has been read (NATS ADR-9, "Consumer Flow Control").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tidegate.contract.errors import DocumentError
from tidegate.contract.sidecar import READ_BATCH_EVENTS
from tidegate.stream.log import LogEntry
from tidegate_sidecar.backplane import entries
from tidegate_sidecar.backplane.jetstream.witness import LastRead

HEARTBEAT_S: Final = 1.0
"""How often the server sends a heartbeat on a quiet consumer; two missing ones are trouble."""

_REPLY_FIELDS: Final = 9
"""``$JS.ACK.stream.consumer.delivered.stream_seq.consumer_seq.timestamp.pending`` (ADR-15)."""


class Owner(Protocol):
    """The part that subscribed."""

    async def batch(self, found: list[LogEntry], last: LastRead, pending: int) -> None:
        """Entries in order up to `last`; `pending` more wait in the stream."""


class Subscription:
    """A consumer of `stream` from `start_seq` on. Made by `subscribe`, ended by `stop`."""

    def __init__(
        self,
        connection: Client,
        owner: Owner,
        start_seq: int,
        clock: Callable[[], float],
        counters: dict[str, int],
    ) -> None:
        self._connection = connection
        self._owner = owner
        self._clock = clock
        self._position = start_seq - 1
        self._stored_at = 0.0
        self._next_in_consumer = 1
        self._found: list[LogEntry] = []
        self._pending = 0
        self._heard_at = clock()
        self._stopped = False
        self.broken = False
        """Whether something is missing; what was handed over before is still good."""

        self._counters = counters

    async def subscribe(self, stream: JetStreamContext, name: str) -> int:
        """Ask the server for the consumer; returns how many entries wait in the stream now."""
        inbox = self._connection.new_inbox()
        self._core = await self._connection.subscribe(
            inbox, cb=self._received, pending_msgs_limit=0, pending_bytes_limit=0
        )
        config = ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._position + 1,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=HEARTBEAT_S,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=30.0,
        )
        info = await stream.add_consumer(name, config)
        self._heard_at = self._clock()
        return int(info.num_pending or 0)

    async def stop(self) -> None:
        """Say no more; the server forgets the consumer by itself."""
        self._stopped = True
        if not self._connection.is_closed:
            await self._core.unsubscribe()

    def silent_s(self) -> float:
        """How long nothing has come, not even a heartbeat."""
        return self._clock() - self._heard_at

    async def _received(self, message: Msg) -> None:
        if self._stopped or self.broken:
            return
        self._heard_at = self._clock()
        if not message.data and message.headers and "Status" in message.headers:
            await self._control(message, message.headers)
            return
        fields = message.reply.split(".")
        if len(fields) < _REPLY_FIELDS:
            return
        # With a domain the subject has more fields in front (ADR-15); counted from the end of the
        # short form both agree, except for the random token that only the long form ends with.
        at = 2 if len(fields) == _REPLY_FIELDS else 4
        seq, in_consumer, stored_ns, self._pending = (int(fields[at + i]) for i in (3, 4, 5, 6))
        if in_consumer != self._next_in_consumer:
            self.broken = True
            return
        self._next_in_consumer += 1
        self._stored_at = stored_ns / 1e9
        self._take(seq, message.data)
        if message.data == entries.NEW_LIFE:
            # What follows belongs to another epoch: read on once that is known.
            await self._hand_over()
            self.broken = True
            return
        if (
            len(self._found) >= READ_BATCH_EVENTS
            or not self._core.pending_msgs
            or not self._pending
        ):
            await self._hand_over()

    def _take(self, seq: int, body: bytes) -> None:
        self._position = seq
        if body in (entries.CANARY, entries.NEW_LIFE):
            return
        try:
            self._found.append(entries.from_bytes(seq, body))
        except DocumentError:
            # Not ours: passed over.
            self._counters["malformed"] += 1

    async def _control(self, message: Msg, headers: dict[str, str]) -> None:
        if self._found:
            await self._hand_over()
        # A flow control request is answered where it points; a stalled consumer's heartbeat
        # carries the answer's address in a header.
        answer_to = message.reply or headers.get("Nats-Consumer-Stalled")
        if answer_to:
            await self._connection.publish(answer_to)
        last = headers.get("Nats-Last-Consumer")
        if last is not None and int(last) >= self._next_in_consumer:
            self.broken = True

    async def _hand_over(self) -> None:
        found, self._found = self._found, []
        last = LastRead(self._position, self._stored_at)
        await self._owner.batch(found, last, self._pending)
