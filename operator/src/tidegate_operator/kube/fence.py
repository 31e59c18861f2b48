"""The fence: what this replica may still write, by the clock of its own last renewal.

A process can be stopped at any line (SIGSTOP, a frozen node, a long swap) and goes on there as if
nothing had happened, while another replica leads since long. So the right to write is no flag that
an event takes away, but a time that runs out: a standby takes over no sooner than one Lease
duration after it saw the last renewal, which is after the renewal was sent. Every write of a leader
asks the fence, and must be over before the time is; so at most the one request goes out late that
was being handed to the kernel when the process was stopped. A lapse is final: the process ends,
because what it knows of the cluster is as old as the lapse.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from tidegate_kubernetes.api import ApiError, KubeApi


class NotLeadingError(ApiError):
    """Raised for a write after the Lease has run out, or has gone to another replica."""

    def __init__(self) -> None:
        super().__init__(0, "this replica does not hold the Lease (any more)")


class Fence:
    """The time left of a Lease of `duration_s`. `clock` gives monotonic seconds.

    `taken` is whether it was ever held. Once lost, by lapse or by `lose`, it stays lost.
    """

    def __init__(self, duration_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._duration_s = duration_s
        self._clock = clock
        self._until_s = -math.inf
        self._lost = False

    @property
    def taken(self) -> bool:
        """Whether this replica has held the Lease at any time."""
        return self._until_s > -math.inf

    def now(self) -> float:
        """The time to give to `renewed`: take it before the renewal is sent."""
        return self._clock()

    def renewed(self, sent_s: float) -> None:
        """A renewal that was sent at `sent_s` has succeeded."""
        self._until_s = sent_s + self._duration_s

    def lose(self) -> None:
        """Another replica holds the Lease, or this one gives it back."""
        self._lost = True

    def left_s(self) -> float:
        """Seconds in which this replica may write; 0 where it may not."""
        left_s = self._until_s - self._clock()
        if self.taken and left_s <= 0:
            self._lost = True
        return 0.0 if self._lost or left_s <= 0 else left_s

    def holds(self) -> bool:
        """Whether this replica leads now."""
        return self.left_s() > 0


class FencedApi(KubeApi):
    """`api`, with every write refused or ended when `fence` does not hold; reads pass."""

    def __init__(self, api: KubeApi, fence: Fence) -> None:
        self._api = api
        self._fence = fence

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Read an object or a list; raises `ApiError`."""
        return await self._api.get(path, query)

    async def versions(self, path: str, selector: str) -> tuple[dict[str, str], str]:
        """Uid -> resourceVersion of every listed object, and the list's own; metadata only."""
        return await self._api.versions(path, selector)

    def items(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list; raises `ApiError`."""
        return self._api.items(path, query)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; raises `ApiError`, `NotLeadingError`."""
        return await self._write(lambda: self._api.post(path, body))

    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; raises `ApiError`, `NotLeadingError`."""
        return await self._write(lambda: self._api.put(path, body))

    async def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge-patch an object; raises `ApiError`, `NotLeadingError`."""
        return await self._write(lambda: self._api.merge(path, body))

    async def patch(self, path: str, operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """JSON-patch an object; raises `ApiError`, `NotLeadingError`."""
        return await self._write(lambda: self._api.patch(path, operations))

    async def _write(self, call: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        left_s = self._fence.left_s()
        if left_s <= 0:
            raise NotLeadingError
        # A call that waits for a connection may be stopped there, and must not be sent afterwards:
        # its time has then run out before it goes on.
        try:
            async with asyncio.timeout(left_s):
                return await call()
        except TimeoutError:
            raise NotLeadingError from None
