"""The lab's load clients with one command more: begin to count.

A fleet that 500 clients have just joined is evened out first; what that moves is not the rolling
update's. ``mark`` sets the counts of moves back when the fleet is at rest. Everything that must
never happen (cuts, failed connects, other answers than 200) is counted from the first connect on.

``python -m e2e.rollouts.load`` takes the same lines as `tidegate_lab.load.process`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import uvloop

from tidegate_lab.load.driver import LoadDriver
from tidegate_lab.load.process import LoadProcess, say
from tidegate_lab.processes import MAX_LINE_BYTES, Household

MARK = "mark"


class MarkedLoad(LoadDriver):
    """A running load process that knows `mark`."""

    @classmethod
    async def start(
        cls, household: Household, name: str, clients: int, handover_share: float, seed: int
    ) -> MarkedLoad:
        """Start the process with its clients, none of them connected yet."""
        process = await household.start(name, [sys.executable, "-m", "e2e.rollouts.load"])
        await process.tell({"clients": clients, "handover": handover_share, "seed": seed})
        await process.listening()
        driver = cls(process)
        driver._reading = asyncio.create_task(driver._read())
        return driver

    async def mark(self) -> None:
        """Count moves from now on."""
        await self._process.tell({"do": MARK})


class MarkedProcess(LoadProcess):
    """The clients of one process, which can begin to count anew."""

    async def follow(self, command: Mapping[str, Any]) -> None:
        """Do what one line says."""
        if command["do"] != MARK:
            await super().follow(command)
            return
        for client in self.clients:
            client.moves = 0
        tally = self.world.tally
        tally.attempts = 0
        tally.arrivals_s.clear()
        tally.offline_s.clear()


async def serve() -> None:
    """Follow the lines on stdin until it ends."""
    lines = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    process = MarkedProcess(json.loads(await lines.readline()))
    say("listening")
    async with asyncio.TaskGroup() as following:
        telling = following.create_task(process.tell_progress())
        while line := await lines.readline():
            following.create_task(process.follow(json.loads(line)))
        telling.cancel()


def main() -> None:
    """Serve, on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
