"""What the sidecar asks of a backplane, and what a backplane tells the sidecar.

The promises, the same for every implementation and tested as one suite:

- `append` returns only once the entry is stored, with its position: an epoch that names this
  incarnation of the log and a sequence number that only grows in it, across all pods.
- Every reader gets every entry, in order, exactly once, from its start-up fill on; after a lost
  connection it goes on where it stopped, or where the store still begins, and then says so.
- The same idempotency key within 2 minutes, on any pod, is the same entry.
- A log that is not the one it was (re-created, or it lost its end) has another epoch.
- `acknowledge` returns only once a position at or beyond the given one is stored; `acknowledged`
  reads it back on any pod at once. Positions are kept for a bounded time in a bounded size.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.publish import Publish
from tidegate.stream.log import LogEntry
from tidegate.wire.cursors import Cursor

_DIGITS: Final = string.digits + string.ascii_lowercase


class Position(NamedTuple):
    """Where an entry stands; its id on the wire is ``<epoch>-<seq>``."""

    epoch: str
    seq: int

    def to_id(self) -> str:
        """The id as clients and publishers see it."""
        return f"{self.epoch}-{self.seq}"


class Problem(NamedTuple):
    """What keeps a pod from its log: `word` for the report, `text` for people, with the fix."""

    word: str
    text: str


class Reader(Protocol):
    """Who reads the log: called on the event loop, one call at a time, in order."""

    def reset(self, epoch: str, position: int) -> None:
        """The log is `epoch` and the next entry comes after `position`; what was before is void.

        The same epoch again, further on: what lies between was thrown away before it was read.
        """

    async def read(self, entries: Sequence[LogEntry], position: int) -> None:
        """These entries follow, and with them all up to `position` is read.

        `position` may lie beyond the last entry (a canary). Returns when more may come.
        """

    def filled(self) -> None:
        """Everything that was in the log at start (as far as it was asked for) has been read."""


class Backplane(Protocol):
    """The log. Made without IO; `start` begins, `stop` ends it."""

    @property
    def degraded(self) -> bool:
        """Whether entries may be late: no connection, or a canary that did not come back."""

    @property
    def problem(self) -> Problem | None:
        """Why the log cannot be read now and what to do about it; ``None`` while it can."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals for `/metrics`: what happened between this pod and the log."""

    @property
    def canary_delay_s(self) -> float | None:
        """How long the last canary took through the log; ``None``: none has come back yet."""

    async def start(self, reader: Reader) -> None:
        """Begin: fill, then live entries. Returns at once; a log out of reach is waited for."""

    async def append(self, publish: Publish) -> Position:
        """Store an event; returns its position, the original's for a repeated key.

        Raises `BackplaneUnavailableError` when it was not acknowledged.
        """

    async def acknowledge(self, key: StreamKey, cursor: Cursor) -> None:
        """Keep the last acknowledged position, never an earlier one (`stream.acknowledged`).

        Raises `BackplaneUnavailableError` when it was not stored; repeating it is safe.
        """

    async def acknowledged(self, key: StreamKey) -> Cursor | None:
        """The position kept, `None` where there is none. Raises `BackplaneUnavailableError`."""

    async def stop(self) -> None:
        """End reading and let go of the connection."""


def epoch_of(moment: int) -> str:
    """An epoch from a whole number that no other incarnation shares, such as µs since 1970."""
    digits = ""
    while True:
        moment, digit = divmod(moment, 36)
        digits = _DIGITS[digit] + digits
        if not moment:
            return digits
