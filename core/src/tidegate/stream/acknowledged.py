"""Which acknowledgement counts: never backwards within one epoch, and only what a log has issued.

Two tabs, a late request, a retry on another pod: acknowledgements arrive in any order. The one
furthest in the log's present epoch is kept. An older epoch never replaces the present one; among
strangers the newcomer is kept, because the client's position is the client's to choose, and a
stream that resumes from it gets a `gap` (`stream.resume`).
"""

from __future__ import annotations

from tidegate.contract.errors import CallerError
from tidegate.wire.cursors import Cursor, parse_cursor


def advances(kept: Cursor | None, given: Cursor, epoch: str | None) -> bool:
    """Whether `given` replaces `kept`; `epoch` is the log's present one, where it is known."""
    if kept is None:
        return True
    if kept.epoch == given.epoch:
        return given.seq > kept.seq
    return kept.epoch != epoch


def read_acknowledged(event_id: str) -> Cursor:
    """Read an acknowledged id; raises `CallerError` for one that is no cursor."""
    cursor = parse_cursor(event_id)
    if not isinstance(cursor, Cursor):
        raise CallerError("bad_id", "must be the id of an event of this stream", "id")
    return cursor


def check_issued(cursor: Cursor, newest: Cursor) -> None:
    """Raise `CallerError` for an id that no event had yet; `newest` is the log's newest position.

    It would stand in the way of all acknowledgements that follow. Of other epochs nothing is known.
    """
    if cursor.epoch == newest.epoch and cursor.seq > newest.seq:
        raise CallerError("bad_id", "is ahead of the log: no event has this id yet", "id")
