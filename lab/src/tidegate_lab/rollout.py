"""One measured rollout on this machine: fleet, clients, publisher, operator; then the scorecard.

The order is the same in every mode: the first fleet starts, the clients connect through the front
door, a few seconds of calm are measured, the pod template changes, and counting goes on until
every client is back and nothing has moved for a while (`tidegate.score.observe`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tidegate.contract.names import MODE_TIDEGATE
from tidegate.contract.sidecar import env
from tidegate.rollout.snapshot import Policy
from tidegate.score.observe import BACK_AT_MOST_S, Observations, is_over, score
from tidegate.score.scorecard import Run
from tidegate_lab.broker import LOOPBACK
from tidegate_lab.door import Endpoint, Forwarder, FrontDoor, keep_in_sync
from tidegate_lab.errors import LabError
from tidegate_lab.fleet.cluster import FleetEvent
from tidegate_lab.fleet.fleet import Fleet
from tidegate_lab.fleet.settings import sidecar_environment
from tidegate_lab.load.driver import LoadDriver, Progress
from tidegate_lab.load.observed import observations
from tidegate_lab.load.population import audiences, population
from tidegate_lab.load.port import Load, StartLoad
from tidegate_lab.load.tally import Window
from tidegate_lab.operator import LabOperator
from tidegate_lab.processes import ProcessGroup
from tidegate_lab.publisher import Publisher
from tidegate_lab.settings import RolloutSettings

CONNECTS_PER_S = 500.0
CONNECT_TIMEOUT_S = 60.0
_CHECK_S = 0.1


@dataclass(frozen=True, slots=True)
class Status:
    """The state for a progress display: `phase` as text, pods by revision, the clients' counts."""

    phase: str
    elapsed_s: float
    old_pods: int
    new_pods: int
    going_pods: int
    seen: Progress
    url: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A rollout's run and what the plots need; `result` is the load process's raw report.

    `late_s` is the most by which the lab itself, or the process of its clients, was late during
    the rollout: a machine too busy for the lab shows here first.
    """

    run: Run
    seen: Observations
    result: dict[str, Any]
    published: int
    unacknowledged: int
    retried: int
    events: tuple[FleetEvent, ...] = ()
    late_s: float = 0.0


@dataclass(slots=True)
class _Stage:
    """Everything that runs during one rollout."""

    settings: RolloutSettings
    fleet: Fleet
    load: Load
    publisher: Publisher
    operator: LabOperator | None
    show: Callable[[Status], None]
    url: str
    background: list[asyncio.Task[None]]
    began_s: float = field(default_factory=time.monotonic)
    phase: str = ""
    late_s: float = 0.0

    def look(self) -> None:
        """Show the state; raise the error of a part that has failed."""
        self.fleet.raise_failure()
        for task in self.background:
            if task.done():
                task.result()
        if self.operator is not None:
            self.operator.raise_failure()
        pods = self.fleet.pods
        going = sum(pod.deleting for pod in pods)
        new = sum(p.spec.revision == self.fleet.revision and not p.deleting for p in pods)
        if self.fleet.started_s is None:
            new = 0
        status = Status(
            self.phase,
            time.monotonic() - self.began_s,
            len(pods) - new - going,
            new,
            going,
            self.load.progress,
            self.url,
        )
        self.show(status)

    async def until(self, phase: str, holds: Callable[[], bool], timeout_s: float) -> None:
        """Wait for a condition; raises `LabError` when it does not come true in time."""
        self.phase = phase
        give_up_s = time.monotonic() + timeout_s
        while True:
            self.look()
            if holds():
                return
            if time.monotonic() > give_up_s:
                raise LabError(f"{phase}: not done within {timeout_s:.0f} s")
            slept_s = time.monotonic()
            await asyncio.sleep(_CHECK_S)
            self.late_s = max(self.late_s, time.monotonic() - slept_s - _CHECK_S)

    async def last(self, phase: str, duration_s: float) -> Window:
        """Let time pass; returns the window."""
        start_s = time.monotonic()
        await self.until(phase, lambda: time.monotonic() >= start_s + duration_s, duration_s + 5)
        return Window(start_s, time.monotonic())


async def measure(
    process_group: ProcessGroup,
    broker_url: str,
    settings: RolloutSettings,
    show: Callable[[Status], None],
    start_load: StartLoad | None = None,
) -> Measured:
    """Run one rollout and score it; raises `LabError` when the lab itself fails.

    `show` is called ten times a second with how things stand. `start_load` starts other clients
    than the lab's own, from the process group and a name for their processes.
    """
    start_load = start_load or partial(_start_own_load, settings)
    async with _stage(process_group, broker_url, settings, show, start_load) as stage:
        await stage.load.connect(CONNECTS_PER_S)
        everyone = settings.clients
        await stage.until(
            "clients connect",
            lambda: stage.load.progress.connected >= everyone,
            CONNECT_TIMEOUT_S,
        )
        if stage.operator is not None:
            stage.operator.start_deciding()
        calm = await stage.last("calm", settings.calm_s)
        start_s = time.monotonic()
        stage.late_s = 0.0
        stage.fleet.roll_out()
        await stage.until("rolling update", lambda: stage.fleet.rolled_out, settings.longest_s)
        over_s = time.monotonic()
        await stage.until("settling", lambda: _is_over(stage, over_s), BACK_AT_MOST_S + 5)
        rollout = Window(start_s, time.monotonic())
        stage.phase = "checking every event"
        stage.look()
        result = await stage.load.finish(stage.publisher.ledger, calm, rollout)
        return _measured(stage, result)


def _is_over(stage: _Stage, over_s: float) -> bool:
    seen, settings = stage.load.progress, stage.settings
    return is_over(
        time.monotonic(),
        over_s,
        seen.stirred_s,
        all_back=seen.connected + seen.dead >= settings.clients,
        quiet_s=settings.quiet_s,
    )


@asynccontextmanager
async def _stage(
    process_group: ProcessGroup,
    broker_url: str,
    settings: RolloutSettings,
    show: Callable[[Status], None],
    start_load: StartLoad,
) -> AsyncIterator[_Stage]:
    shape = settings.fleet
    name = shape.mode.replace("+", "-")
    people = population(settings.clients, settings.handover_share, settings.seed)
    async with contextlib.AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(process_group, shape, name))
        operator = None
        operator_url = None
        if shape.mode == MODE_TIDEGATE:
            steering = "steering" not in shape.without
            policy = Policy(budget_per_s=settings.budget_per_s, steering=steering)
            operator = LabOperator(fleet, policy)
            operator_url = await operator.listen()
            stack.push_async_callback(operator.stop)
        fleet.environment = {
            **sidecar_environment(shape, operator_url),
            env("backplane"): broker_url,
            env("backplane_stream"): f"LAB_{name}_{settings.seed}".upper(),
        }
        door = FrontDoor(settings.seed)
        forwarder = Forwarder(door)
        port = await forwarder.start(LOOPBACK, settings.port)
        stack.push_async_callback(forwarder.stop)
        load, _ = await asyncio.gather(
            start_load(process_group, f"{name}-load"),
            fleet.start(),
        )
        stack.push_async_callback(load.stop)

        publisher = Publisher(
            lambda: [p.app_port for p in fleet.pods if p.ready and not p.deleting],
            audiences(people, settings.seed),
            settings.rate_per_s,
            name,
        )
        await load.sync(fleet.endpoints())
        url = f"http://{LOOPBACK}:{port}"
        background: list[asyncio.Task[None]] = []
        stack.push_async_callback(_cancel, background)

        async def take_up(known: tuple[Endpoint, ...]) -> None:
            door.apply(known)
            await load.sync(known)

        background.append(asyncio.create_task(keep_in_sync(fleet.endpoints, take_up)))
        background.append(asyncio.create_task(publisher.run()))
        yield _Stage(settings, fleet, load, publisher, operator, show, url, background)


async def _start_own_load(
    settings: RolloutSettings, process_group: ProcessGroup, name: str
) -> Load:
    share = settings.handover_share
    return await LoadDriver.start(process_group, name, settings.clients, share, settings.seed)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _measured(stage: _Stage, result: dict[str, Any]) -> Measured:
    settings, fleet = stage.settings, stage.fleet
    assert fleet.started_s is not None
    everyone = (*fleet.pods, *fleet.gone)
    seen = observations(
        result,
        pods=settings.fleet.pods,
        budget_per_s=settings.budget_per_s,
        started_s=fleet.started_s,
        live_pods=[pod.spec.name for pod in fleet.pods],
        new_pods=[p.spec.name for p in everyone if p.spec.revision == fleet.revision],
    )
    mode = settings.fleet.mode
    run = Run(mode, "lab", seen.pods, seen.clients, seen.budget_per_s, score(seen))
    publisher = stage.publisher
    return Measured(
        run=run,
        seen=seen,
        result=result,
        published=len(publisher.ledger),
        unacknowledged=publisher.unacknowledged,
        retried=publisher.retried,
        events=tuple(stage.operator.cluster.events) if stage.operator else (),
        late_s=max(stage.late_s, result["late_s"]),
    )
