"""Somebody gives a busy pod far less time than its template says, and there is no operator."""

from __future__ import annotations

import asyncio

import pytest

from e2e.goals import SMOOTH, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.events import (
    busiest,
    happening,
    until_all_ready,
    until_everybody_is_back,
)
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import Workload

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CLIENTS = 2000
GRACE_S = 8


async def test_a_pod_deleted_in_a_hurry_says_goodbye_to_everyone(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The sidecar hears of the short deadline only by SIGTERM, and has 1.5 s for its streams."""

    async def act(stage: Stage) -> None:
        pod = busiest(stage)
        assert stage.load.progress.streams[pod] >= CLIENTS
        where = f"--namespace={stage.workload.namespace}"
        hurry = f"--grace-period={GRACE_S}"
        await asyncio.to_thread(kubectl, "delete", "pod", pod, where, hurry, "--wait=false")
        await stage.until("the pod is gone", lambda: stage.pods.seen[pod].gone_s is not None, 60)
        await until_all_ready(stage, 1)
        await until_everybody_is_back(stage)

    workload = Workload(
        image=installation.images.sidecar.name, namespace="e2e-hurry", pods=1, min_ready_s=0
    )
    installation.scale("operator", 0)
    try:
        run = await happening(kubectl, workload, Audience(clients=CLIENTS), act)
    finally:
        installation.scale("operator", 2)
    show(f"(g) kubectl delete --grace-period={GRACE_S}, {CLIENTS} streams, no operator", [run])
    assert missed([run], SMOOTH) == []
