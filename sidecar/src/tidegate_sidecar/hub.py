"""The way of the log into the engine: what the backplane reads, the ring gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tidegate.stream.log import LogEntry


class Ring(Protocol):
    """What the hub asks of the engine; see `tidegate_sidecar.engine.Engine`."""

    def publish_many(self, entries: Iterable[LogEntry]) -> None:
        """Append entries in order of `seq`."""

    def advance(self, seq: int) -> None:
        """Pass positions that hold no event."""

    def reset_epoch(self, epoch: str, position: int = 0) -> None:
        """Begin a log anew after `position`; in the same epoch: leap over a hole up to there."""

    async def caught_up(self) -> None:
        """Wait until every stream that can take more has what was appended."""


class Hub:
    """Implements the backplane's `Reader`. `on_filled` is called once, when the ring is filled."""

    def __init__(self, ring: Ring, on_filled: Callable[[], None]) -> None:
        self._ring = ring
        self._on_filled = on_filled
        self.is_filled = False

    def reset(self, epoch: str, position: int) -> None:
        """The log is another one, or has a hole: the streams are told by a `gap`."""
        self._ring.reset_epoch(epoch, position)

    async def read(self, entries: Sequence[LogEntry], position: int) -> None:
        """Append a batch; returns when the streams have it, so that no reader outruns them."""
        if entries:
            self._ring.publish_many(entries)
        if not entries or entries[-1].seq < position:
            self._ring.advance(position)
        if self.is_filled:
            await self._ring.caught_up()

    def filled(self) -> None:
        """The ring holds what was asked for."""
        if not self.is_filled:
            self.is_filled = True
            self._on_filled()
