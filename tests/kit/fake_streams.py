"""Stand-ins for the ports the sidecar's shell is written against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.contract.publish import Publish
from tidegate.drain.decision import Goodbye
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane.port import Problem, Reader
from tidegate_sidecar.streams import Gate, StreamInfo


class FakeStreams:
    """Implements `Streams` with counts; remembers what was let go when."""

    def __init__(
        self, count: int = 0, clients: Sequence[str] = (), clock: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.gate = Gate(bounce_retry_ms=1000)
        self.open_count = count
        self.lingering_count = 0
        self.memory_bytes = 0
        self.arrived_total = count
        self.ended_total: dict[str, int] = {}
        self.bounced_total: dict[str, int] = {}
        self.refused_total: dict[str, int] = {}
        self.counters = {"events": 7}
        self.gone: list[tuple[float, Goodbye]] = []  # one per stream
        self.cuts = 0
        self._clients = dict.fromkeys(clients, 1)
        self._clock = clock

    def let_go(self, count: int, goodbye: Goodbye) -> int:
        count = min(count, self.open_count)
        self.open_count -= count
        self.gone += [(self._clock(), goodbye)] * count
        self.ended_total[goodbye.reason] = self.ended_total.get(goodbye.reason, 0) + count
        return count

    def end_client(self, client: str, goodbye: Goodbye) -> int:
        self.gone.append((self._clock(), goodbye))
        return self._clients.pop(client, 0)

    def cut_all(self) -> int:
        self.cuts, self.open_count = self.open_count, 0
        return self.cuts

    def clients(self) -> dict[str, int]:
        return self._clients

    def streams_of(self, client: str) -> list[StreamInfo]:
        if client not in self._clients:
            return []
        return [StreamInfo("s1", client, ("a",), 1.5, "e-3", lagging=False)]


class BrokenBackplane:
    """A backplane whose store is away."""

    degraded = True
    canary_delay_s = None

    def __init__(self, error: Exception | None = None, problem: Problem | None = None) -> None:
        self.problem = problem
        self.counters = {"unavailable": 3}
        self.error = error or BackplaneUnavailableError("away")

    async def start(self, reader: Reader) -> None:
        raise self.error

    async def append(self, publish: Publish) -> Cursor:
        raise self.error

    async def newest(self) -> Cursor:
        raise self.error

    async def keep(self, key: StreamKey, given: Cursor, epoch: str) -> None:
        raise self.error

    async def read(self, key: StreamKey) -> Cursor | None:
        raise self.error

    async def may_have_evicted(self, key: StreamKey) -> bool:
        raise self.error

    async def stop(self) -> None:
        """Nothing was started."""
