"""The process that holds the load clients: ``python -m tidegate_lab.load.process``.

It takes one JSON object per line on stdin and reports in one per line on stdout: ``setup`` (the
clients), ``endpoints`` (a sync of the front door), ``connect``, ``mark`` (count moves from now on),
``finish`` (the ledger, to check all deliveries against). It ends when stdin does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import uvloop

from tidegate.score.deliveries import Ledger
from tidegate_lab.door import Endpoint, FrontDoor
from tidegate_lab.load.client import Client, World
from tidegate_lab.load.population import population
from tidegate_lab.load.tally import Tally, Window, check_all, latency_p99_s, read_ledger
from tidegate_lab.processes import MAX_LINE_BYTES

TICK_S = 0.05
PROGRESS_TICKS = 5
CONNECT_SLICE_S = 0.02


class LoadProcess:
    """The clients of one process and the commands they follow."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        seed = int(setup["seed"])
        people = population(int(setup["clients"]), float(setup["handover"]), seed)
        self.world = World(FrontDoor(seed), Tally())
        self.clients = [Client(self.world, p.name, p.topics, p.handover) for p in people]

    async def follow(self, command: Mapping[str, Any]) -> None:
        """Execute one line."""
        match command["do"]:
            case "endpoints":
                self.world.door.apply([Endpoint(**e) for e in command["endpoints"]])
            case "connect":
                await self.connect(float(command["per_s"]))
            case "mark":
                self.mark()
            case "finish":
                say("result", **self.finish(command))

    async def connect(self, per_s: float) -> None:
        """Open every client's first stream, in order, so that the seed decides the pod of each."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        opened = 0
        while opened < len(self.clients):
            due = min(len(self.clients), 1 + int((loop.time() - started_s) * per_s))
            for client in self.clients[opened:due]:
                client.open()
            opened = due
            await asyncio.sleep(CONNECT_SLICE_S)

    def mark(self) -> None:
        """Count moves from now on."""
        for client in self.clients:
            client.moves = 0
        self.world.tally.begin_counting()

    def finish(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Stop listening, check every event of every client, and report all observations."""
        end_s = self.world.clock()
        self.world.stopped = True
        for client in self.clients:
            client.close()
        entries = read_ledger(command["ledger"])
        acked_s = {entry.seq: entry.acked_s for entry in entries}
        receipts = {c.name: (c.topics, c.receipts) for c in self.clients}
        checked = check_all(receipts, Ledger(entries, end_s))
        calm, rollout = (Window(*command[name]) for name in ("calm", "rollout"))
        every = [c.receipts for c in self.clients]
        tally = self.world.tally
        return {
            "moves": [c.moves for c in self.clients],
            "arrivals_s": tally.arrivals_s,
            "offline_s": tally.offline_s,
            "changes": [(c.at_s, c.pod, c.delta) for c in tally.changes],
            "attempts": tally.attempts,
            "bounced": tally.bounced,
            "cut_without_goodbye": tally.cut_without_goodbye,
            "failed_connects": tally.failed_connects,
            "failures": tally.failures,
            "non_200": tally.non_200,
            "clients_dead": tally.clients_dead,
            "gaps": tally.gaps,
            "foreign_events": tally.foreign_events,
            "disordered": sum(one.disordered for one in every),
            "received": checked.received,
            "expected": checked.expected,
            "lost": checked.lost,
            "duplicated": checked.duplicated,
            "calm_latency_p99_s": latency_p99_s(every, acked_s, calm),
            "rollout_latency_p99_s": latency_p99_s(every, acked_s, rollout),
            "late_s": tally.late_s(rollout.start_s, rollout.end_s),
        }

    async def tell_progress(self) -> None:
        """A line every quarter of a second, until cancelled."""
        tally = self.world.tally
        ticks = 0
        while True:
            due_s = time.monotonic() + TICK_S
            if ticks % PROGRESS_TICKS == 0:
                say("progress", at_s=time.monotonic(), **tally.progress())
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            tally.delays.append((now, now - due_s))
            ticks += 1


def say(event: str, **fields: object) -> None:
    """One JSON line on stdout."""
    line = json.dumps({"event": event, **fields}, separators=(",", ":"))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def serve() -> None:
    """Follow the lines on stdin until it ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    process = LoadProcess(json.loads(await lines.readline()))
    say("listening")
    # Following one line (the ramp of the clients) must not delay the next (endpoints).
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
