"""Acknowledged cursors within one process: the last per key, the least recent goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tidegate.contract.acknowledge import StreamKey
from tidegate.stream.acknowledged import advances
from tidegate.wire.cursors import Cursor

KEEP_S: Final = 7 * 86_400.0
MAX_KEPT: Final = 100_000


class MemoryAcks:
    """Implements `Acks`: at most `max_kept` cursors, each for `KEEP_S`. `clock` in seconds."""

    def __init__(
        self, clock: Callable[[], float], counters: dict[str, int], max_kept: int = MAX_KEPT
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._max_kept = max_kept
        self._kept: OrderedDict[StreamKey, tuple[float, Cursor]] = OrderedDict()

    async def keep(self, key: StreamKey, given: Cursor, epoch: str) -> None:
        """Keep `given` unless something further is kept."""
        if not advances(await self.read(key), given, epoch):
            return
        self._kept[key] = (self._clock(), given)
        self._kept.move_to_end(key)
        self._counters["acks_kept"] += 1
        while len(self._kept) > self._max_kept:
            self._kept.popitem(last=False)

    async def read(self, key: StreamKey) -> Cursor | None:
        """The cursor kept."""
        while self._kept:
            oldest, (at, _) = next(iter(self._kept.items()))
            if self._clock() - at < KEEP_S:
                break
            del self._kept[oldest]
        kept = self._kept.get(key)
        return None if kept is None else kept[1]
