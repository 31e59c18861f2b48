"""The lab's side of the load process: commands in, progress and the result out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tidegate_lab.door import Endpoint
from tidegate_lab.errors import LabError
from tidegate_lab.load.tally import Window
from tidegate_lab.processes import Process, ProcessGroup

RESULT_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Progress:
    """The last report of the load process: streams per pod and running counts.

    `stirred_s` is when a stream was last established or ended, monotonic seconds. `dead` clients
    were told never to come back.
    """

    streams: dict[str, int] = field(default_factory=dict)
    moves: int = 0
    received: int = 0
    cuts: int = 0
    failed: int = 0
    dead: int = 0
    stirred_s: float = 0.0
    at_s: float = 0.0

    @property
    def connected(self) -> int:
        """Streams open now."""
        return sum(self.streams.values())


class LoadDriver:
    """A running load process."""

    def __init__(self, process: Process) -> None:
        self.progress = Progress()
        self._process = process
        self._result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, process_group: ProcessGroup, name: str, clients: int, handover_share: float, seed: int
    ) -> LoadDriver:
        """Start the process with its clients, none of them connected yet."""
        argv = [sys.executable, "-m", "tidegate_lab.load.process"]
        process = await process_group.start(name, argv)
        process.go_first()
        await process.tell({"clients": clients, "handover": handover_share, "seed": seed})
        await process.listening()
        driver = cls(process)
        driver._reading = asyncio.create_task(driver._read())
        return driver

    async def sync(self, endpoints: Sequence[Endpoint]) -> None:
        """Give the clients' front door what it knows from now on."""
        listed = [endpoint.to_json() for endpoint in endpoints]
        await self._process.tell({"do": "endpoints", "endpoints": listed})

    async def connect(self, per_s: float) -> None:
        """Let the clients open their first streams at this rate."""
        await self._process.tell({"do": "connect", "per_s": per_s})

    async def mark(self) -> None:
        """Count moves from now on."""
        await self._process.tell({"do": "mark"})

    async def finish(
        self, ledger: Sequence[tuple[int, Any, float]], calm: Window, rollout: Window
    ) -> dict[str, Any]:
        """Stop the clients and have everything checked; raises `LabError` if it dies of it."""
        await self._process.tell(
            {
                "do": "finish",
                "ledger": ledger,
                "calm": [*asdict(calm).values()],
                "rollout": [*asdict(rollout).values()],
            }
        )
        try:
            return await asyncio.wait_for(self._result, RESULT_TIMEOUT_S)
        except TimeoutError:
            words = self._process.last_words()
            raise LabError(f"the load process gave no result{words}") from None

    async def stop(self) -> None:
        """End the process."""
        self._process.kill()
        await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        async for line in self._process.lines():
            event = line.pop("event", None)
            if event == "progress":
                self.progress = Progress(**line)
            elif event == "result":
                self._result.set_result(line)
        if not self._result.done():
            words = self._process.last_words()
            self._result.set_exception(LabError(f"the load process ended early{words}"))
            self._result.exception()  # marks it as retrieved: without a waiter it is no error
