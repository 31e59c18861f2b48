"""A shared log on NATS JetStream.

connection    the NATS client; connects, and reports what stands in the way
log           `Log` and `Health`: appends, knows the epoch
reading       opens the stream, reads it, renews what stopped
witness       the lives of the log in the store, and how a lost end is noticed
subscription  one ephemeral push consumer, checked message by message
round_trip    whether stored entries come back in time
appender      many appends at once, each acknowledged, repeated while it may help
acks          acknowledged cursors, one message per key
problems      why the log cannot be opened, with the fix
settings      names, bounds, and the configuration of a stream that Tidegate makes
"""

from __future__ import annotations

from collections.abc import Callable

from tidegate_sidecar.backplane.jetstream.acks import JetStreamAcks
from tidegate_sidecar.backplane.jetstream.connection import Connection
from tidegate_sidecar.backplane.jetstream.log import COUNTERS, JetStreamLog
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.port import Backplane


def make_jetstream_backplane(
    settings: JetStreamSettings, clock: Callable[[], float], instance: str
) -> Backplane:
    """A backplane, not started. `clock` in seconds; `instance` differs between processes."""
    counters = dict.fromkeys(COUNTERS, 0)
    connection = Connection(settings, counters)
    log = JetStreamLog(settings, connection, clock, instance, counters)
    return Backplane(log, JetStreamAcks(settings, connection, counters), log)
