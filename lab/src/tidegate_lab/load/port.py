"""What a rollout needs of the part that holds its clients: the lab's own, or clients of another
kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from tidegate_lab.door import Endpoint
from tidegate_lab.load.driver import Progress
from tidegate_lab.load.tally import Window
from tidegate_lab.processes import ProcessGroup


class Load(Protocol):
    """Clients in processes of their own. See `LoadDriver` for each method."""

    @property
    def progress(self) -> Progress:
        """The final report of the clients."""

    async def sync(self, endpoints: Sequence[Endpoint]) -> None:
        """Give the clients' front door what it knows from now on."""

    async def connect(self, per_s: float) -> None:
        """Let the clients open their first streams at this rate."""

    async def finish(
        self, ledger: Sequence[tuple[int, Any, float]], calm: Window, rollout: Window
    ) -> dict[str, Any]:
        """Stop the clients and have everything checked."""

    async def stop(self) -> None:
        """End them."""


StartLoad = Callable[[ProcessGroup, str], Awaitable[Load]]
"""Starts clients in the process group, under a name; none is connected yet."""
