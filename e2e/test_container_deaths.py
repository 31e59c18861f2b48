"""Single containers die: the application's costs nobody a stream, the sidecar's costs no event."""

from __future__ import annotations

import pytest

from e2e.goals import UNHARMED, missed, show
from e2e.installation import BACKPLANE, Installation
from e2e.kubectl import Kubectl
from e2e.relay import SICK
from e2e.rollouts.adopting import Adopting
from e2e.rollouts.events import (
    busiest,
    execute,
    kill,
    run_out_of_memory,
    until_everybody_is_back,
    until_restarted,
)
from e2e.rollouts.happening import happening
from e2e.rollouts.stage import Audience
from e2e.rollouts.workload import RELAY, Workload
from tidegate.contract.kube import CONTAINER_SIDECAR, KEY_PREFIX
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

MEMORY_LIMIT = "80Mi"
"""Above what the sidecar takes, below that and a full /dev/shm (64 MiB) together."""


async def test_an_application_that_dies_costs_no_stream(
    kubectl: Kubectl, installation: Installation
) -> None:
    """SIGKILLed, and restarted because its liveness probe failed: nobody notices."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-app-dies",
        pods=2,
        shared_processes=True,
        probed_for_life=True,
    )
    async with happening(kubectl, workload, Audience(clients=200)) as seen:
        stage = seen.stage
        pod = busiest(stage)
        restarts = stage.pods.seen[pod].restarts
        await kill(kubectl, stage, pod, RELAY.name)
        await until_restarted(stage, pod, restarts + 1)
        await execute(kubectl, stage, pod, "app", "python", "-c", f"open({SICK!r}, 'w')")
        await until_restarted(stage, pod, restarts + 2)
    show("(f) the application is killed, then fails its liveness", [seen.run])
    assert missed([seen.run], UNHARMED) == []
    assert seen.run.scorecard.moves_per_client == 0
    assert seen.run.scorecard.cut_without_goodbye == 0


async def test_a_sidecar_that_dies_loses_no_event(
    kubectl: Kubectl, installation: Installation
) -> None:
    """SIGKILLed, and killed for its memory: its streams break, its clients resume by cursor."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-sidecar-dies",
        pods=3,
        shared_processes=True,
        annotations={
            f"{KEY_PREFIX}memory-request": MEMORY_LIMIT,
            f"{KEY_PREFIX}memory-limit": MEMORY_LIMIT,
        },
    )
    async with happening(kubectl, workload, Audience(clients=300)) as seen:
        stage = seen.stage
        pod = busiest(stage)
        broken = stage.load.progress.streams[pod]
        await kill(kubectl, stage, pod, "tidegate sidecar")
        await until_restarted(stage, pod, 1)
        await until_everybody_is_back(stage)
        pod = busiest(stage)
        broken += stage.load.progress.streams[pod]
        restarts = stage.pods.seen[pod].restarts
        await run_out_of_memory(kubectl, stage, pod, CONTAINER_SIDECAR)
        await until_restarted(stage, pod, restarts + 1)
        await until_everybody_is_back(stage)
    run = seen.run
    show("(f) the sidecar is killed, then runs out of memory", [run])
    assert missed([run], UNHARMED) == []
    assert run.scorecard.cut_without_goodbye is not None
    assert run.scorecard.cut_without_goodbye >= broken * 0.9


@pytest.mark.counterproof
async def test_an_application_that_streams_by_itself_takes_its_streams_along(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The same server of streams as an ordinary container that dies: what (f) is without us."""
    workload = Adopting(
        image=installation.images.sidecar.name,
        namespace="e2e-app-dies-alone",
        pods=2,
        shared_processes=True,
        backplane=BACKPLANE,
    )
    run = await _killed(kubectl, workload, "tidegate sidecar")
    show("(f) an application that streams by itself is killed", [run])
    assert run.scorecard.moves_per_client
    assert run.scorecard.cut_without_goodbye


@pytest.mark.counterproof
async def test_without_replay_a_sidecar_that_dies_loses_events(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Whoever comes back then begins at the head of the log."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-no-replay",
        pods=2,
        shared_processes=True,
        annotations={f"{KEY_PREFIX}replay": "off"},
    )
    run = await _killed(kubectl, workload, "tidegate sidecar")
    show("(f) the sidecar is killed, and does not replay", [run])
    assert run.scorecard.lost
    assert missed([run], UNHARMED) != []


async def _killed(kubectl: Kubectl, workload: Workload, word: str) -> Run:
    """One process of the busiest pod is killed once."""
    async with happening(kubectl, workload, Audience(clients=100)) as seen:
        pod = busiest(seen.stage)
        await kill(kubectl, seen.stage, pod, word)
        await until_restarted(seen.stage, pod, 1)
        await until_everybody_is_back(seen.stage)
    return seen.run
