"""Clients that nobody sent for: hundreds a second join a fleet whose pods have just got ready.

Counted from the first client on: what a shed round does in their midst is over before they rest.
"""

from __future__ import annotations

import time

import pytest

from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.stage import Audience, staged
from e2e.rollouts.workload import Workload
from tidegate.score.measures import StreamChange, transient
from tidegate_lab.load.tally import Window

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

JOIN_TIMEOUT_S = 60.0
MOST_OVER_MEAN = 1.25


@pytest.mark.parametrize(("pods", "per_s"), [(3, 500.0), (5, 250.0), (5, 500.0), (7, 250.0)])
async def test_a_crowd_after_a_deploy_is_left_where_it_lands(
    kubectl: Kubectl, installation: Installation, pods: int, per_s: float
) -> None:
    """Nobody is moved, and no pod ever holds more than a quarter over its share."""
    workload = Workload(
        installation.images.sidecar.name, namespace=f"e2e-crowd-{pods}", pods=pods, min_ready_s=0
    )
    audience = Audience(clients=1000)
    async with staged(kubectl, workload, audience) as stage:
        began_s = time.monotonic()
        await stage.load.mark()
        await stage.load.connect(per_s)
        await stage.until(
            "clients join",
            lambda: stage.load.progress.connected >= audience.clients,
            JOIN_TIMEOUT_S,
        )
        await stage.settle()
        stage.calm = Window(time.monotonic() - 1.0, time.monotonic())
        result = await stage.finish(began_s)
        names = [pod.name for pod in stage.pods.alive()]
    changes = [StreamChange(*row) for row in result["changes"]]
    fullest = transient(changes, names, audience.clients / pods)
    print(f"{pods} pods, {per_s:g}/s: moves {sum(result['moves'])}, fullest {fullest:.2f}")
    assert sum(result["moves"]) == 0
    assert fullest is not None
    # Chance alone: sigma of 1,000 streams on k pods, three of them.
    assert fullest <= MOST_OVER_MEAN
