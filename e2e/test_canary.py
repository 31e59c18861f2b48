"""(c) A canary: a second Deployment of one pod, with a new template, behind the same Services.

It comes, the stable Deployment is rolled out beside it, and it goes. Both Deployments name the same
log, because by default each has its own, and an event published to a stable pod would not reach the
canary's streams.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from e2e.goals import RESIZED, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.events import until_all_ready
from e2e.rollouts.happening import happening
from e2e.rollouts.rollout import restart
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import CANARY, STABLE, Workload
from tidegate.contract.kube import KEY_PREFIX
from tidegate.score.goals import Goal
from tidegate.score.measures import StreamChange, transient
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

AUDIENCE = Audience(clients=500)
STABLE_PODS = 5
SHARE = 1 / (STABLE_PODS + 1)
"""Of all clients: what one of six pods holds."""

FULLEST = 1.10
"""How far over its share the canary may ever be; a late flip is worth a few streams."""

PROMOTED = (*RESIZED, Goal("moves_per_client", "<=", 1 + SHARE + 0.05))
"""One move each for the rollout's and the canary's clients, and one to the canary and back."""


async def promoted(kubectl: Kubectl, stable: Workload) -> tuple[Run, float, float]:
    """Canary up, stable rolled out, canary gone; also the canary's share in the end, and at most.

    Both over N/k.
    """
    canary = replace(
        stable, track=CANARY, pods=1, annotations={**stable.annotations, "version": "next"}
    )
    async with happening(kubectl, stable, AUDIENCE) as seen:
        stage, old = seen.stage, seen.old
        await asyncio.to_thread(kubectl.apply, canary.deployment())
        await until_all_ready(stage, STABLE_PODS + 1)
        await stage.settle()
        name = next(pod.name for pod in stage.pods.alive() if pod.name not in old)
        share = stage.load.progress.streams.get(name, 0) / (AUDIENCE.clients * SHARE)
        await restart(kubectl, stage)
        await _until_replaced(stage, old)
        await stage.settle()
        where = f"--namespace={stable.namespace}"
        await asyncio.to_thread(
            kubectl, "delete", "deployment", canary.deployment_name, where, "--wait=false"
        )
        await stage.until("the canary is gone", lambda: _gone(stage, {name}), 120)
        await until_all_ready(stage, STABLE_PODS)
    changes = [StreamChange(*row) for row in seen.result["changes"]]
    fullest = transient(changes, {name}, AUDIENCE.clients * SHARE) or 0.0
    return seen.run, share, fullest


def _gone(stage: Stage, names: set[str]) -> bool:
    return all(stage.pods.seen[name].gone_s is not None for name in names)


async def _until_replaced(stage: Stage, old: set[str]) -> None:
    longest_s = STABLE_PODS * (stage.workload.min_ready_s + stage.workload.grace_s) + 60.0
    await stage.until("rolling update", lambda: _gone(stage, old), longest_s)
    await until_all_ready(stage, STABLE_PODS + 1)


def workload(installation: Installation, namespace: str, *, admit: bool) -> Workload:
    """The stable Deployment."""
    return Workload(
        installation.images.sidecar.name,
        namespace=namespace,
        pods=STABLE_PODS,
        min_ready_s=2,
        track=STABLE,
        annotations={f"{KEY_PREFIX}backplane-stream": namespace},
        admit=admit,
    )


async def test_a_canary_gets_its_share_and_never_more(
    kubectl: Kubectl, installation: Installation
) -> None:
    """It is a pod like any other, also while those beside it are replaced."""
    run, share, fullest = await promoted(kubectl, workload(installation, "e2e-canary", admit=True))
    show("(c) canary, rollout beside it, canary gone", [run])
    print(f"canary: {share:.2f} of N/k when it had come, {fullest:.2f} at most")
    assert 0.93 <= share <= 1.06
    assert fullest <= FULLEST
    assert missed([run], PROMOTED) == []


async def test_a_canary_without_steering_gets_too_much(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The counter-proof: it keeps whatever falls on it while the others are replaced."""
    run, share, fullest = await promoted(
        kubectl, workload(installation, "e2e-canary-unsteered", admit=False)
    )
    run = replace(run, mode="tidegate without steering")
    show("(c) canary, rollout beside it, canary gone, without steering", [run])
    print(f"canary: {share:.2f} of N/k when it had come, {fullest:.2f} at most")
    assert share < 0.93
    assert fullest > FULLEST
    assert missed([run], PROMOTED) != []
