"""Cursors: the ids a client resumes from, written ``<epoch>-<seq>``.

The epoch identifies the log, the sequence a position in it; a log that was reset has a new epoch,
so that old ids are recognised as such. Ids are at most 64 of ``0-9 A-Z a-z . _ -``:
short and safe enough for a CORS-safelisted ``Last-Event-ID`` request header (Fetch standard).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.contract.errors import SettingsError

MAX_ID_LENGTH = 64
MAX_EPOCH_LENGTH = 40

_EPOCH = re.compile(r"[0-9A-Za-z._-]{1,40}")
_CURSOR = re.compile(r"([0-9A-Za-z._-]{1,40})-(0|[1-9][0-9]{0,18})")
_SAFE_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")


class Cursor(NamedTuple):
    """A position in one epoch of the log: everything up to and including `seq` has been seen."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


@dataclass(frozen=True, slots=True)
class ForeignCursor:
    """An id that no Tidegate log has issued; `text` is empty where it is not safe to repeat."""

    text: str


def parse_cursor(text: str | None) -> Cursor | ForeignCursor | None:
    """Read a ``Last-Event-ID``: a cursor, a foreign id, or ``None`` where there is none.

    A malformed id is foreign, never an error: it came from a browser, which has no use for an
    error.
    """
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None:
        return ForeignCursor(text if _SAFE_ID.fullmatch(text) else "")
    return Cursor(match[1], int(match[2]))


def check_epoch(epoch: str) -> str:
    """Return `epoch` if ids can be made of it; raises `SettingsError` otherwise."""
    if _EPOCH.fullmatch(epoch) is None:
        raise SettingsError("epoch", f"must be 1 to {MAX_EPOCH_LENGTH} of 0-9 A-Z a-z . _ -")
    return epoch
