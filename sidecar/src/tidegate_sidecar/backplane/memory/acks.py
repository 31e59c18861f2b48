"""Acknowledged cursors within one process: the last per key, the least recent goes first.

A client that names streams without end pushes out its own positions only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tidegate.contract.acknowledge import MAX_NAMES_PER_CLIENT, NAMES_LEFT, StreamKey
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
        self._of_client: dict[str, dict[StreamKey, None]] = {}

    async def keep(self, key: StreamKey, given: Cursor, epoch: str) -> None:
        """Keep `given` unless something further is kept."""
        if not advances(await self.read(key), given, epoch):
            return
        self._forget(key)
        own = [*self._of_client.get(key.client, ())]
        if len(own) >= MAX_NAMES_PER_CLIENT:
            for oldest in own[:-NAMES_LEFT]:
                self._evict(oldest)
        self._kept[key] = (self._clock(), given)
        self._of_client.setdefault(key.client, {})[key] = None
        self._counters["acks_kept"] += 1
        while len(self._kept) > self._max_kept:
            self._evict(next(iter(self._kept)))

    async def read(self, key: StreamKey) -> Cursor | None:
        """The cursor kept."""
        while self._kept:
            oldest, (at, _) = next(iter(self._kept.items()))
            if self._clock() - at < KEEP_S:
                break
            self._forget(oldest)
        kept = self._kept.get(key)
        return None if kept is None else kept[1]

    async def may_have_evicted(self, key: StreamKey) -> bool:
        """Whether there is no room left, for all or for this client."""
        of_client = len(self._of_client.get(key.client, ()))
        return of_client >= NAMES_LEFT or len(self._kept) >= self._max_kept

    def _evict(self, key: StreamKey) -> None:
        self._counters["acks_evicted"] += 1
        self._forget(key)

    def _forget(self, key: StreamKey) -> None:
        if self._kept.pop(key, None) is None:
            return
        own = self._of_client[key.client]
        del own[key]
        if not own:
            del self._of_client[key.client]
