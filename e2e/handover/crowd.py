"""TypeScript clients in Node processes, in the place of the lab's own load process.

Each process runs ``clients/typescript/scripts/load.mjs``, which speaks the load process's words.
The processes share the clients evenly; their answers are put together here and checked against the
ledger with the scorecard's own rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from kit.node_tools import PACKAGE, find_node

from e2e.handover.outcome import Handovers, handovers
from tidegate.contract.names import PATH_SUBSCRIBE, QUERY_TOPIC
from tidegate.score.deliveries import Ledger
from tidegate_lab.door import Endpoint
from tidegate_lab.errors import LabError
from tidegate_lab.load.driver import RESULT_TIMEOUT_S, Progress
from tidegate_lab.load.population import Person, population
from tidegate_lab.load.tally import (
    Receipts,
    Window,
    check_all,
    latency_p99_s,
    read_ledger,
)
from tidegate_lab.processes import Process, ProcessGroup

SCRIPT = PACKAGE / "scripts" / "load.mjs"
_SUMS = (
    *("attempts", "bounced", "cut_without_goodbye", "failed_connects", "non_200"),
    *("clients_dead", "gaps", "foreign_events", "told_lost"),
)
_LISTS = ("arrivals_s", "offline_s", "changes")


class TypeScriptCrowd:
    """Running Node processes full of clients; the load driver's interface.

    `handovers` is what only these clients can tell, after `finish`.
    """

    def __init__(self, processes: Sequence[Process], people: Sequence[Person]) -> None:
        self.handovers: Handovers | None = None
        self._processes = processes
        self._topics = {person.name: person.topics for person in people}
        self._progress = [Progress() for _ in processes]
        self._told: list[dict[str, Any]] = []
        self._ends: list[asyncio.Future[dict[str, Any]]] = []
        self._reading: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls,
        process_group: ProcessGroup,
        name: str,
        people: Sequence[Person],
        processes: int,
        **broken: bool,
    ) -> TypeScriptCrowd:
        """Start the processes, no client connected yet.

        `broken` may set ``handover`` or ``resume`` to false: clients that do not hand over, or do
        not say where they were.
        """
        started = []
        for number in range(processes):
            process = await process_group.start(f"{name}-{number}", [find_node(), str(SCRIPT)])
            process.go_first()
            clients = [{"name": p.name, "path": _path(p)} for p in people[number::processes]]
            how = {"handover": True, "resume": True, **broken}
            await process.tell({"do": "setup", "clients": clients, **how})
            await process.listening()
            started.append(process)
        crowd = cls(started, people)
        crowd._listen()
        return crowd

    @property
    def progress(self) -> Progress:
        """The processes' last words together."""
        total = Progress()
        for one in self._progress:
            for pod, count in one.streams.items():
                total.streams[pod] = total.streams.get(pod, 0) + count
            for key in ("moves", "received", "cuts", "failed", "dead"):
                setattr(total, key, getattr(total, key) + getattr(one, key))
            total.stirred_s = max(total.stirred_s, one.stirred_s)
            total.at_s = max(total.at_s, one.at_s)
        return total

    async def sync(self, endpoints: Sequence[Endpoint]) -> None:
        """Give every process's front door what it knows from now on."""
        listed = [endpoint.to_json() for endpoint in endpoints]
        await self._tell_all({"do": "endpoints", "endpoints": listed})

    async def connect(self, per_s: float) -> None:
        """Let the clients open their first streams at this rate."""
        await self._tell_all({"do": "connect", "per_s": per_s / len(self._processes)})

    async def mark(self) -> None:
        """Count moves from now on."""
        await self._tell_all({"do": "mark"})

    async def finish(
        self, ledger: Sequence[tuple[int, Any, float]], calm: Window, rollout: Window
    ) -> dict[str, Any]:
        """Stop the clients and check everything; raises `LabError` if a process dies of it."""
        await self._tell_all({"do": "finish"})
        try:
            async with asyncio.timeout(RESULT_TIMEOUT_S):
                ends = await asyncio.gather(*self._ends)
        except TimeoutError:
            raise LabError("the Node processes gave no result") from None
        total: dict[str, Any] = {key: sum(end[key] for end in ends) for key in _SUMS}
        total |= {key: sorted(row for end in ends for row in end[key]) for key in _LISTS}
        total["late_s"] = max(end["late_s"] for end in ends)
        end_s = min(end["end_s"] for end in ends)
        entries = read_ledger(ledger)
        acked_s = {entry.seq: entry.acked_s for entry in entries}
        raw = {one["name"]: _receipts(one, one["seqs"], one["at_s"]) for one in self._told}
        app = {one["name"]: _receipts(one, one["app"]) for one in self._told}
        checked = Ledger(entries, end_s)
        on_wire = check_all(self._with_topics(raw), checked)
        in_app = check_all(self._with_topics(app), checked)
        calm_p99_s = latency_p99_s(raw.values(), acked_s, calm)
        sides = (raw, app)
        lost = total["told_lost"]
        self.handovers = handovers(self._told, acked_s, calm_p99_s, in_app, sides, lost)
        return total | {
            "moves": [one["moves"] for one in self._told],
            "disordered": sum(one.disordered for one in raw.values()),
            "received": on_wire.received,
            "expected": on_wire.expected,
            "lost": on_wire.lost,
            "duplicated": on_wire.duplicated,
            "calm_latency_p99_s": calm_p99_s,
            "rollout_latency_p99_s": latency_p99_s(raw.values(), acked_s, rollout),
        }

    async def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            await process.wait()
        await asyncio.gather(*self._reading)

    def _with_topics(
        self, receipts: dict[str, Receipts]
    ) -> dict[str, tuple[tuple[str, ...], Receipts]]:
        return {name: (self._topics[name], one) for name, one in receipts.items()}

    async def _tell_all(self, command: dict[str, Any]) -> None:
        await asyncio.gather(*(process.tell(command) for process in self._processes))

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._ends = [loop.create_future() for _ in self._processes]
        numbers = range(len(self._processes))
        self._reading = [asyncio.create_task(self._read(number)) for number in numbers]

    async def _read(self, number: int) -> None:
        process, end = self._processes[number], self._ends[number]
        async for line in process.lines():
            match line.pop("event", None):
                case "progress":
                    self._progress[number] = Progress(**line)
                case "client":
                    self._told.append(line)
                case "result":
                    end.set_result(line)
        if not end.done():
            end.set_exception(LabError(f"{process.name} ended early{process.last_words()}"))
            end.exception()  # whoever waits is told; nobody waiting is no error


def starter(
    clients: int, seed: int, processes: int, kept: list[TypeScriptCrowd], **broken: bool
) -> Callable[[ProcessGroup, str], Awaitable[TypeScriptCrowd]]:
    """What `tidegate_lab.rollout.measure` starts its clients with; the crowd is put into `kept`."""
    people = population(clients, 1.0, seed)

    async def start(process_group: ProcessGroup, name: str) -> TypeScriptCrowd:
        kept.append(await TypeScriptCrowd.start(process_group, name, people, processes, **broken))
        return kept[-1]

    return start


def _path(person: Person) -> str:
    query = urlencode([(QUERY_TOPIC, topic) for topic in person.topics])
    return PATH_SUBSCRIBE.format(client_id=quote(person.name, safe="")) + "?" + query


def _receipts(
    told: dict[str, Any], seqs: Sequence[int], at_s: Sequence[float] | None = None
) -> Receipts:
    """One client's ids in the order in which they came, counted as the lab counts its own."""
    receipts = Receipts(first=told["first"])
    for seq, at in zip(seqs, at_s or [0.0] * len(seqs), strict=True):
        receipts.take(seq, at)
    return receipts
