"""Where a stream goes on: replay from its cursor, live at the head, or behind a gap.

Nothing is dropped silently. Events that cannot be replayed, because they have left the ring, exceed
the bound for one stream or belong to another epoch of the log, are announced as one `gap` with its
range and reason, and the stream goes on at the oldest position from which everything fits.
"""

from __future__ import annotations

from typing import NamedTuple

from tidegate.contract.stream_events import Gap, GapReason
from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.log import EventLog
from tidegate.wire.cursors import Cursor, ForeignCursor


class Resumption(NamedTuple):
    """The position a stream starts at (events above it follow), and what it has lost before."""

    position: int
    gap: Gap | None = None


def resume(
    log: EventLog,
    topics: tuple[str, ...],
    client: str | None,
    cursor: Cursor | ForeignCursor | None,
    settings: StreamSettings,
    newest: int = 0,
) -> Resumption:
    """Decide for a new stream that came with `cursor` (``None``: it has seen nothing).

    A client may come from a pod that has read a shared log further: `newest` is the store's newest
    position, asked for a cursor that `is_ahead` of this pod. Beyond it no event had the id yet, and
    to wait for it would be silence.
    """
    if cursor is None:
        return Resumption(log.head)
    if isinstance(cursor, ForeignCursor):
        return _behind_gap(log, topics, client, cursor.text, log.floor, "foreign", settings)
    if cursor.epoch != log.epoch:
        oldest = max(log.floor, log.lives.seen(cursor))
        return _behind_gap(log, topics, client, str(cursor), oldest, "epoch", settings)
    if cursor.seq > max(log.head, newest):
        return _behind_gap(log, topics, client, str(cursor), log.head, "foreign", settings)
    if cursor.seq >= log.head:
        return Resumption(cursor.seq)
    if cursor.seq < log.floor:
        return _behind_gap(log, topics, client, str(cursor), log.floor, "expired", settings)
    start = _start(log, topics, client, cursor.seq, settings)
    if start == cursor.seq:
        return Resumption(start)
    return Resumption(start, Gap(str(cursor), log.cursor(start), "expired"))


def is_ahead(cursor: Cursor | ForeignCursor | None, log: EventLog) -> bool:
    """Whether `cursor` names a position that this pod has not read yet."""
    return isinstance(cursor, Cursor) and cursor.epoch == log.epoch and cursor.seq > log.head


def catch_up(
    log: EventLog,
    topics: tuple[str, ...],
    client: str | None,
    position: int,
    settings: StreamSettings,
) -> Resumption:
    """Decide for an open stream at `position` that was too slow: a gap if the ring has moved on."""
    if position >= log.floor:
        return Resumption(position)
    seen = log.cursor(position)
    return _behind_gap(log, topics, client, seen, log.floor, "lagged", settings)


def _behind_gap(
    log: EventLog,
    topics: tuple[str, ...],
    client: str | None,
    seen: str,
    oldest: int,
    reason: GapReason,
    settings: StreamSettings,
) -> Resumption:
    start = _start(log, topics, client, oldest, settings)
    return Resumption(start, Gap(seen, log.cursor(start), reason))


def _start(
    log: EventLog,
    topics: tuple[str, ...],
    client: str | None,
    oldest: int,
    settings: StreamSettings,
) -> int:
    if not settings.replay:
        return log.head
    return log.newest_start(
        topics,
        client,
        oldest,
        max_events=settings.replay_max_events,
        max_bytes=settings.replay_max_bytes,
    )
