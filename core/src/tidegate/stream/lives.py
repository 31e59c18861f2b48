"""The lives of a log: one epoch each, and the position at which it began.

A store can come back without its end: restored from a copy, or after a power cut with what was not
on disk yet. Its numbers then name other events than before, so a new life begins there with a new
epoch. A client of an earlier life has seen the log up to the end of that life at most: it goes on
there, behind a `gap` (something may have been lost), and gets nothing a second time.

The epochs of one log share what stands before the first dot, its birth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.contract.errors import DocumentError
from tidegate.wire.cursors import Cursor, check_epoch, parse_cursor

MAX_LIVES = 8
"""Lives remembered; of an older one only the birth is recognised."""


class Life(NamedTuple):
    """The events above `start` were numbered in `epoch`."""

    epoch: str
    start: int


@dataclass(frozen=True, slots=True)
class Lives:
    """`all` lives, the present one first."""

    all: tuple[Life, ...]

    @property
    def epoch(self) -> str:
        """The present one's."""
        return self.all[0].epoch

    @property
    def start(self) -> int:
        """Where the present one began."""
        return self.all[0].start

    def is_same_log(self, epoch: str) -> bool:
        """Whether `epoch` names a life of this log, known or not."""
        return birth_of(epoch) == birth_of(self.epoch)

    def seen(self, cursor: Cursor) -> int:
        """How far a client at `cursor` has seen this log in today's numbers; 0: nothing of it.

        In a life that is not remembered it has seen what was there when the present one began.
        """
        for life, ended_at in self._ended():
            if life.epoch == cursor.epoch:
                return min(cursor.seq, ended_at)
        return self.start if self.is_same_log(cursor.epoch) else 0

    def begin(self, epoch: str, position: int) -> Lives:
        """A new life after `position`; those that began further on are lost with the end."""
        kept = tuple(life for life in self.all if life.start <= position)
        return Lives((Life(epoch, position), *kept)[:MAX_LIVES])

    def _ended(self) -> Iterator[tuple[Life, int]]:
        for following, life in zip(self.all, self.all[1:], strict=False):
            yield life, following.start

    def __str__(self) -> str:
        return " ".join(str(Cursor(*life)) for life in self.all)


def read_lives(text: str) -> Lives:
    """Read what `str` of lives wrote; raises `DocumentError`."""
    cursors = [parse_cursor(part) for part in text.split()[:MAX_LIVES]]
    lives = tuple(Life(*cursor) for cursor in cursors if isinstance(cursor, Cursor))
    if not lives or len(lives) != len(cursors):
        raise DocumentError(
            "lives of the log", text[:80], "must be EPOCH-POSITION, the newest first"
        )
    return Lives(lives)


def one_life(epoch: str) -> Lives:
    """A log that has never lost anything; raises `SettingsError` for an epoch that cannot be."""
    return Lives((Life(check_epoch(epoch), 0),))


def birth_of(epoch: str) -> str:
    """The part of an epoch that all lives of a log share."""
    return epoch.partition(".")[0]
