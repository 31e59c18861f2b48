"""``kubectl rollout restart`` with everybody connected: one measured rolling update."""

from __future__ import annotations

import asyncio
import json
import time

from e2e.cluster.progress import Progress
from e2e.kubectl import Kubectl
from e2e.rollouts.happening import happening
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import Workload
from tidegate.score.scorecard import Run

SLACK_S = 60.0

DISTURBED_S = 0.12
"""An idle machine keeps the clients' process within 0.06 s. At 40 moves per second this is five,
with which alone the busiest second would have as many as it may."""

MEASUREMENTS = 3


async def roll_out(kubectl: Kubectl, workload: Workload, audience: Audience) -> Run:
    """Deploy, connect, restart, settle, and score.

    A run during which the clients' own process was late has measured the machine. It is void,
    whatever came out, and done once more, up to `MEASUREMENTS` times.
    """
    for left in reversed(range(MEASUREMENTS)):
        run, late_s = await _rolled_out(kubectl, workload, audience)
        if late_s <= DISTURBED_S or not left:
            break
        Progress().done(f"void: this machine was busy, the clients' process {late_s:.2f} s late")
    return run


async def _rolled_out(
    kubectl: Kubectl, workload: Workload, audience: Audience
) -> tuple[Run, float]:
    async with happening(kubectl, workload, audience) as seen:
        await replaced(kubectl, seen.stage)
        seen.began_s = first_change_s(seen.stage, seen.old)
    return seen.run, float(seen.result["late_s"])


async def replaced(kubectl: Kubectl, stage: Stage) -> None:
    """Restart the workload and wait until every pod is a new one."""
    old = {pod.name for pod in stage.pods.alive()}
    await restart(kubectl, stage)
    await until_replaced(stage, old)


async def restart(kubectl: Kubectl, stage: Stage) -> None:
    """``kubectl rollout restart``."""
    workload = stage.workload
    where = f"--namespace={workload.namespace}"
    await asyncio.to_thread(kubectl, "rollout", "restart", workload.reference, where)


async def until_replaced(stage: Stage, old: set[str]) -> None:
    """Until none of the old pods exists and all of the new ones are ready."""
    workload = stage.workload
    longest_s = workload.pods * (workload.min_ready_s + workload.grace_s) + SLACK_S

    def replaced() -> bool:
        alive = stage.pods.alive()
        new = [pod for pod in alive if pod.name not in old and pod.ready]
        return len(new) >= workload.pods and not any(pod.name in old for pod in alive)

    await stage.until("rolling update", replaced, longest_s)


def first_change_s(stage: Stage, old: set[str]) -> float:
    """When the first pod was created or deleted."""
    times = [pod.created_s for pod in stage.pods.seen.values() if pod.name not in old]
    times += [pod.deleted_s for pod in stage.pods.seen.values() if pod.deleted_s is not None]
    return min(times, default=time.monotonic())


def shown(run: Run) -> str:
    """A scorecard as it is printed by the tests and kept in the README."""
    return json.dumps(run.to_json(), indent=2)
