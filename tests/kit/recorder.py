"""A backplane's reader that remembers, with bounded waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from kit.waiting import until
from tidegate.stream.lives import Lives
from tidegate.stream.log import LogEntry


class Recorder:
    """Implements `Reader`; `slow_s` is how long it takes over each batch."""

    def __init__(self) -> None:
        self.epochs: list[tuple[str, int]] = []  # (epoch, position) of each reset
        self.entries: list[LogEntry] = []
        self.lives: Lives | None = None
        self.position = -1
        self.is_filled = False
        self.slow_s = 0.0

    def reset(self, epoch: str, position: int, lives: Lives | None = None) -> None:
        self.epochs.append((epoch, position))
        self.lives = lives
        self.position = position

    async def read(self, entries: Sequence[LogEntry], position: int) -> None:
        assert self.epochs, "nothing is read before the first reset"
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        self.entries += entries
        assert position >= self.position
        self.position = position

    def filled(self) -> None:
        assert not self.is_filled, "filled is called once"
        self.is_filled = True

    @property
    def epoch(self) -> str:
        return self.epochs[-1][0]

    @property
    def data(self) -> list[str]:
        return [entry.data for entry in self.entries]

    @property
    def seqs(self) -> list[int]:
        return [entry.seq for entry in self.entries]

    async def until(self, condition: Callable[[Recorder], object]) -> None:
        await until(lambda: condition(self))
