"""The backplane's ports: `Log`, `Acks` and `Health`, and the promises behind them.

The promises are the same for every implementation and tested as one suite:

- `Log.append` returns only once the entry is stored, with its cursor: an epoch that names this
  life of the log and a sequence number that only grows in it, across all pods.
- Every reader gets every entry, in order, exactly once, from its start-up fill on; after a lost
  connection it goes on where it stopped, or resets its reader to where the store still begins.
- The same idempotency key within 2 minutes, on any pod, is the same entry.
- A log that is not the one it was (re-created, or it lost its end) has another epoch.
- `Acks.keep` returns only once a cursor at or beyond the given one is stored; `Acks.read` returns
  it on any pod at once. Cursors are kept for a bounded time in a bounded size.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.publish import Publish
from tidegate.stream.lives import Lives
from tidegate.stream.log import LogEntry
from tidegate.wire.cursors import Cursor

_DIGITS: Final = string.digits + string.ascii_lowercase


class Problem(NamedTuple):
    """What keeps a pod from its log: `word` for the report, `text` for people, with the fix."""

    word: str
    text: str


class Reader(Protocol):
    """Gets what a log reads: called on the event loop, one call at a time, in order."""

    def reset(self, epoch: str, position: int, lives: Lives | None = None) -> None:
        """The log is `epoch` and the next entry comes after `position`; what was before is void.

        `lives` are those it had before, with the present one; ``None``: it has never lost anything.
        The same epoch again, further on: what lies between was thrown away before it was read.
        """

    async def read(self, entries: Sequence[LogEntry], position: int) -> None:
        """These entries follow, and with them all up to `position` is read.

        `position` may lie beyond the last entry (a canary). Returns when more may come.
        """

    def filled(self) -> None:
        """Everything that was in the log at start (as far as it was asked for) has been read."""


class Log(Protocol):
    """One order of events for all pods. Made without IO; `start` begins, `stop` ends it."""

    async def start(self, reader: Reader) -> None:
        """Begin: fill, then live entries. Returns at once; a log out of reach is waited for."""

    async def append(self, publish: Publish) -> Cursor:
        """Store an event; returns its cursor, the original's for a repeated key.

        Raises `BackplaneUnavailableError` when it was not acknowledged, and `CallerError` for an
        event that the store would never take and for a key of another event.
        """

    async def newest(self) -> Cursor:
        """The newest position in the store, asked of it; raises `BackplaneUnavailableError`."""

    async def stop(self) -> None:
        """End reading and close the connection."""


class Acks(Protocol):
    """The last acknowledged cursor of each named stream."""

    async def keep(self, key: StreamKey, given: Cursor, epoch: str) -> None:
        """Keep `given` unless it goes back in the log's present `epoch` (`stream.acknowledged`).

        Raises `BackplaneUnavailableError` when it was not stored; repeating it is safe.
        """

    async def read(self, key: StreamKey) -> Cursor | None:
        """The cursor kept, `None` where there is none. Raises `BackplaneUnavailableError`."""

    async def may_have_evicted(self, key: StreamKey) -> bool:
        """Whether a position of `key` may have gone for want of room: nothing is kept for it, but
        the store is full or its client has many names. Raises `BackplaneUnavailableError`.
        """


class Health(Protocol):
    """How the log is doing, for probes, reports and metrics; read at any moment."""

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


class Backplane(NamedTuple):
    """The three ports of one backplane."""

    log: Log
    acks: Acks
    health: Health


def epoch_of(moment: int) -> str:
    """An epoch from a whole number that no other incarnation shares, such as µs since 1970."""
    digits = ""
    while True:
        moment, digit = divmod(moment, 36)
        digits = _DIGITS[digit] + digits
        if not moment:
            return digits
