"""A log within one process: for one pod, and for trying things out.

Its epoch is the process: a client that moves to another pod gets a `gap`, because nothing there
knows the events of this one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.contract.publish import IDEMPOTENCY_WINDOW_S, Publish
from tidegate.stream.log import LogEntry
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane import entries
from tidegate_sidecar.backplane.port import Problem, Reader, epoch_of

MAX_BEHIND = 100_000
"""Entries appended and not yet read; beyond that publishing waits its turn (503)."""


class _Keyed(NamedTuple):
    """When a key was used, and the entry it names."""

    at: float
    seq: int
    body: bytes


class MemoryLog:
    """Implements `Log` and `Health`. `clock` in seconds, `epoch_seed` as for `epoch_of`."""

    def __init__(self, clock: Callable[[], float], epoch_seed: int) -> None:
        self._clock = clock
        self._epoch = epoch_of(epoch_seed)
        self._seq = 0
        self._by_key: OrderedDict[str, _Keyed] = OrderedDict()
        self._behind: deque[LogEntry] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.counters = {
            "appended": 0,
            "duplicates": 0,
            "unavailable": 0,
            "acks_kept": 0,
            "acks_evicted": 0,
        }
        """Totals of the process; `acks_kept` is counted by `MemoryAcks`."""

    @property
    def degraded(self) -> bool:
        """Never: there is nothing between append and read."""
        return False

    @property
    def problem(self) -> Problem | None:
        """None: the log is here."""
        return None

    @property
    def canary_delay_s(self) -> float | None:
        """None is sent."""
        return None

    async def start(self, reader: Reader) -> None:
        """Begin with an empty log, which is filled at once."""
        reader.reset(self._epoch, 0)
        reader.filled()
        self._task = asyncio.create_task(self._deliver(reader), name="memory log")

    async def append(self, publish: Publish) -> Cursor:
        """Store an event and return its cursor; raises `BackplaneUnavailableError`.

        Raises `CallerError` for a key of another event.
        """
        if self._task is None or len(self._behind) >= MAX_BEHIND:
            self.counters["unavailable"] += 1
            raise BackplaneUnavailableError("the log is not being read")
        now = self._clock()
        body = b"" if publish.key is None else entries.to_bytes(publish)
        known = self._known(publish.key, now)
        if known is not None:
            if known.body != body:
                raise entries.key_reused()
            self.counters["duplicates"] += 1
            return Cursor(self._epoch, known.seq)
        self._seq += 1
        self.counters["appended"] += 1
        if publish.key is not None:
            self._by_key[publish.key] = _Keyed(now, self._seq, body)
        self._behind.append(LogEntry(self._seq, publish.to, publish.data, publish.event))
        self._more.set()
        return Cursor(self._epoch, self._seq)

    async def newest(self) -> Cursor:
        """The position of the last event."""
        return Cursor(self._epoch, self._seq)

    async def stop(self) -> None:
        """End reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _known(self, key: str | None, now: float) -> _Keyed | None:
        while self._by_key:
            oldest, keyed = next(iter(self._by_key.items()))
            if now - keyed.at < IDEMPOTENCY_WINDOW_S:
                break
            del self._by_key[oldest]
        return None if key is None else self._by_key.get(key)

    async def _deliver(self, reader: Reader) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._behind:
                batch = [self._behind.popleft() for _ in range(min(256, len(self._behind)))]
                await reader.read(batch, batch[-1].seq)
