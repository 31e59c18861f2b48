"""``python -m bench.operator_load``: what 1,000 pods in 100 workloads cost the operator.

This process plays the sidecars with the production reporter; the operator under test is another
process, whose CPU is read from /proc. First a fleet at rest, then a rolling update of all hundred
workloads at once: in each of them one pod drains by the operator's plan and its clients arrive
on the pods that are open. Plain HTTP (TLS adds a handshake per connection, which the reporter
keeps), no API server. Exit status 1 if a goal is missed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Any

from bench.procfs import cpu_s
from tidegate.contract.errors import SettingsError
from tidegate.contract.report import RESTING_REPORT_S, Answer, Plan, Report
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import plan
from tidegate.rollout.snapshot import Pod, Policy, Snapshot, Workload
from tidegate_lab.descriptors import raise_descriptor_limit
from tidegate_sidecar.reporting.reporter import Reporter

STREAMS_EACH = 2_000
SETTLE_S = 5.0
REST_S = 16.0
ROLL_S = 10.0
TICK_S = 0.1
RETRY_S = 0.75
MOST_CONNECTIONS = 1_200
"""A pod holds one; the new pods of a roll, and reports that overtake their forerunner, others."""
PLAN_ROUNDS = 20

GOALS = {
    "idle_cores": 0.2,
    "rolling_cores": 1.0,
    "plan_1000_pods_at_rest_ms": 50.0,
    "plan_1000_pods_rolling_ms": 50.0,
}


@dataclass
class Drain:
    """The part of a drain that the reporter asks for."""

    state: str = "ready"


@dataclass
class Sidecar:
    """One pod as the reporter sees it: pod, drainer and metrics in one."""

    uid: str
    streams: float = STREAMS_EACH
    arrived: float = STREAMS_EACH
    ended: float = 0.0
    admitted: bool = True
    plan: Plan | None = None
    plan_seq: int = 0
    reports: int = 0
    started_s: float | None = None
    results: dict[str, int] = field(default_factory=dict)
    drain: Drain = field(default_factory=Drain)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def counts(self) -> tuple[int, int]:
        """As `Pod.counts`."""
        return int(self.arrived), int(self.ended)

    def next_report(self) -> Report:
        """As `Pod.next_report`."""
        self.reports += 1
        return Report(
            uid=self.uid,
            seq=self.reports,
            streams=int(self.streams),
            arrived_total=int(self.arrived),
            ended_total=int(self.ended),
            state="draining" if self.drain.state == "draining" else "ready",
            plan_seq=self.plan_seq,
            rate_limit_per_s=1000.0,
            version="bench",
            drain_started_s=None if self.started_s is None else time.monotonic() - self.started_s,
        )

    def answered(self, answer: Answer) -> None:
        """As `Drainer.answered`."""
        self.admitted, self.plan, self.plan_seq = answer.admitted, answer.plan, answer.seq

    def reported(self, result: str) -> None:
        """As `Metrics.reported`."""
        self.results[result] = self.results.get(result, 0) + 1


class Fleet:
    """All sidecars, their reporters, and the clients that move between them."""

    def __init__(self, port: int, pods: dict[str, list[str]]) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._tasks: list[asyncio.Task[None]] = []
        self._air: dict[str, list[tuple[float, float]]] = {name: [] for name in pods}
        step_s = RESTING_REPORT_S / sum(map(len, pods.values()))
        after_s = count(0.0, step_s)
        self.workloads = {
            name: [self.add(uid, after_s=next(after_s)) for uid in uids]
            for name, uids in pods.items()
        }

    def add(self, uid: str, streams: float = STREAMS_EACH, after_s: float = 0.0) -> Sidecar:
        """Start one sidecar's reporter; not all at once, as they would never report again."""
        made = Sidecar(uid, streams, streams)
        pod: Any = made
        reporter = Reporter(self._url, lambda: uid, pod, pod, pod, time.monotonic)

        async def run() -> None:
            await asyncio.sleep(after_s)
            await reporter.run()

        self._tasks.append(asyncio.create_task(run()))
        return made

    def roll(self, moved: dict[str, dict[str, str]]) -> None:
        """A pod of each workload has been deleted and a new one is there."""
        for name, change in moved.items():
            doomed = next(s for s in self.workloads[name] if s.uid == change["doomed"])
            doomed.drain.state, doomed.started_s = "draining", time.monotonic()
            doomed.changed.set()
            self.workloads[name].append(self.add(change["born"], 0))

    async def live(self, seconds: float) -> None:
        """Let clients move for a while, as the plans say."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            for name, sidecars in self.workloads.items():
                self._tick(sidecars, self._air[name], time.monotonic())
            await asyncio.sleep(TICK_S)

    def _tick(self, sidecars: list[Sidecar], air: list[tuple[float, float]], now: float) -> None:
        for sidecar in sidecars:
            told = sidecar.plan
            if sidecar.drain.state == "draining" and told is not None and told.kind == "drain":
                gone = min(sidecar.streams, told.rate_per_s * TICK_S)
                sidecar.streams -= gone
                sidecar.ended += gone
                air.append((now + RETRY_S, gone))
        landed = sum(n for at_s, n in air if at_s <= now)
        air[:] = [(at_s, n) for at_s, n in air if at_s > now]
        opened = [s for s in sidecars if s.admitted and s.drain.state == "ready"]
        for sidecar in opened:
            sidecar.streams += landed / len(opened)
            sidecar.arrived += landed / len(opened)

    def results(self) -> dict[str, int]:
        """Reports by result: answered, superseded (which costs a connection), failed."""
        total: dict[str, int] = {}
        for sidecars in self.workloads.values():
            for sidecar in sidecars:
                for result, times in sidecar.results.items():
                    total[result] = total.get(result, 0) + times
        return total

    async def stop(self) -> None:
        """End the reporters."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def measure() -> dict[str, Any]:
    """Rest, roll, and time the planner alone."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.operator_server",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    try:
        began = await _answer(server)
        fleet = Fleet(began["port"], began["pods"])
        await fleet.live(SETTLE_S + RESTING_REPORT_S)
        figures = await _during(server, fleet, REST_S, "idle")
        fleet.roll(await _ask(server, do="roll"))
        await fleet.live(SETTLE_S)
        figures |= await _during(server, fleet, ROLL_S, "rolling")
        await fleet.stop()
    finally:
        server.terminate()
        await server.wait()
    return figures | _planner()


async def _during(server: Any, fleet: Fleet, seconds: float, name: str) -> dict[str, Any]:
    before, results, cpu = await _ask(server, do="stats"), fleet.results(), cpu_s(server.pid)
    began_s = time.monotonic()
    await fleet.live(seconds)
    took_s = time.monotonic() - began_s
    cpu = cpu_s(server.pid) - cpu
    after = await _ask(server, do="stats")
    now = fleet.results()
    plans = after["plans"] - before["plans"]
    return {
        f"{name}_cores": cpu / took_s,
        f"{name}_reports_per_s": (after["reports"] - before["reports"]) / took_s,
        f"{name}_superseded_per_s": (now.get("superseded", 0) - results.get("superseded", 0))
        / took_s,
        f"{name}_failed": now.get("failed", 0) - results.get("failed", 0),
        f"{name}_looks_per_s": plans / 100 / took_s,
        f"{name}_plan_core": (after["plan_s"] - before["plan_s"]) / took_s,
    }


async def _ask(server: Any, **command: Any) -> Any:
    server.stdin.write(json.dumps(command).encode() + b"\n")
    return await _answer(server)


async def _answer(server: Any) -> Any:
    line = await server.stdout.readline()
    if not line:
        raise SystemExit(f"bench: the operator under test ended: {await server.wait()}")
    return json.loads(line)


def _planner() -> dict[str, float]:
    """One call of `plan` for 1,000 pods under one policy, at rest and with all of them rolling."""
    return {
        f"plan_1000_pods_{name}_ms": median(_plan_ms(rolls) for _ in range(PLAN_ROUNDS))
        for name, rolls in (("at_rest", False), ("rolling", True))
    }


def _plan_ms(rolls: bool) -> float:
    snapshot = Snapshot(tuple(_workload(f"w{i}", rolls=rolls) for i in range(100)))
    memory = plan(snapshot, Policy(), 0.0, Memory()).memory
    began_s = time.perf_counter()
    plan(snapshot, Policy(), 5.0, memory)
    return 1000 * (time.perf_counter() - began_s)


def _workload(name: str, *, rolls: bool) -> Workload:
    def pod(i: int) -> Pod:
        deleting = rolls and i == 0
        report = Sidecar(f"{name}-{i}").next_report()
        return Pod(
            report.uid, report.uid, "new" if rolls and i > 4 else "old", not deleting, deleting,
            deadline_in_s=60.0 if deleting else None, report=report,
        )  # fmt: skip

    return Workload(name, 10, "new" if rolls else "old", tuple(pod(i) for i in range(10)))


def main() -> int:
    """Measure, print, judge."""
    try:
        raise_descriptor_limit(MOST_CONNECTIONS, "1,000 pods")
    except SettingsError as error:
        raise SystemExit(f"bench: {error}") from None
    figures = asyncio.run(measure())
    missed = [name for name, most in GOALS.items() if figures[name] > most]
    for name, value in figures.items():
        verdict = "MISSED" if name in missed else "met"
        goal = f"  <= {GOALS[name]:g}  {verdict}" if name in GOALS else ""
        print(f"{name:<28}{value:>10.3f}{goal}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
