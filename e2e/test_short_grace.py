"""Somebody gives a busy pod far less time than its template says, and there is no operator."""

from __future__ import annotations

import asyncio

import pytest

from e2e.goals import SMOOTH, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.events import (
    busiest,
    until_all_ready,
    until_everybody_is_back,
)
from e2e.rollouts.happening import happening
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import KEY_PREFIX
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CLIENTS = 2000
GRACE_S = 8


async def test_a_pod_deleted_in_a_hurry_says_goodbye_to_everyone(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The sidecar hears of the short deadline only by SIGTERM, and has 1.5 s for its streams."""
    run = await _hurried(kubectl, installation)
    show(f"(g) kubectl delete --grace-period={GRACE_S}, {CLIENTS} streams, no operator", [run])
    assert missed([run], SMOOTH) == []


@pytest.mark.counterproof
async def test_without_goodbyes_a_pod_deleted_in_a_hurry_cuts_everyone(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The same, and the sidecar ends its streams at SIGTERM as other servers do."""
    run = await _hurried(kubectl, installation, {f"{KEY_PREFIX}drain": "cut"})
    show("(g) the same with drain cut", [run])
    assert run.scorecard.cut_without_goodbye is not None
    assert run.scorecard.cut_without_goodbye >= CLIENTS
    assert missed([run], SMOOTH) != []


async def _hurried(
    kubectl: Kubectl, installation: Installation, annotations: dict[str, str] | None = None
) -> Run:
    """One pod, everybody on it, no operator, and 8 s."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-hurry",
        pods=1,
        min_ready_s=0,
        annotations=annotations or {},
    )
    installation.scale("operator", 0)
    try:
        async with happening(kubectl, workload, Audience(clients=CLIENTS)) as seen:
            await _delete_in_a_hurry(kubectl, seen.stage)
        return seen.run
    finally:
        installation.scale("operator", 2)


async def _delete_in_a_hurry(kubectl: Kubectl, stage: Stage) -> None:
    """With `GRACE_S`, until another pod has all of its clients."""
    pod = busiest(stage)
    assert stage.load.progress.streams[pod] >= CLIENTS
    where = f"--namespace={stage.workload.namespace}"
    hurry = f"--grace-period={GRACE_S}"
    await asyncio.to_thread(kubectl, "delete", "pod", pod, where, hurry, "--wait=false")
    await stage.until("the pod is gone", lambda: stage.pods.seen[pod].gone_s is not None, 60)
    await until_all_ready(stage, 1)
    await until_everybody_is_back(stage)
