"""(c) `kubectl scale` with 500 streams: up and in, and which pods go."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from e2e.goals import EVEN, RESIZED, SMOOTH, missed, moves_at_most, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.events import until_all_ready
from e2e.rollouts.happening import happening, observed
from e2e.rollouts.operations import scale, until_only
from e2e.rollouts.stage import Audience, Stage, staged
from e2e.rollouts.workload import Workload
from tidegate.contract.names import ANNOTATION_DELETION_COST, LABEL_ADMIT, MODE_STOCK
from tidegate.score.goals import Goal
from tidegate.score.scorecard import Run
from tidegate_lab.door import SYNC_PERIOD_S

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

AUDIENCE = Audience(clients=500)
FEW, MANY = 4, 6
EXCESS = 1 - FEW / MANY
"""The share of all clients that two of six pods hold: who must move when they come or go."""

SLACK = 0.04
"""Moves that are not the resize's: what evening out after chance may cost."""

FULL, IDLE = 3, 2
"""Pods with all the streams, and older ones with none."""

OLDER_S = 30.0
"""By how much: a ReplicaSet that knows no costs deletes the younger ones first, but ages count as
different only where one is twice the other (LogarithmicScaleDown)."""

KNOWN_TIMEOUT_S = 60.0
RESIZE = (*RESIZED, *moves_at_most(EXCESS + SLACK))


async def resized(kubectl: Kubectl, workload: Workload, pods: int) -> Run:
    """Scale to that many pods, wait until it is so and nobody moves any more, and score."""
    async with happening(kubectl, workload, AUDIENCE) as seen:
        await scale(kubectl, seen.stage, pods)
        await until_all_ready(seen.stage, pods)
    return seen.run


async def test_scaling_up_moves_the_excess_and_ends_even(
    kubectl: Kubectl, installation: Installation
) -> None:
    """From 4 to 6: the new pods get a third of the streams, and only those move."""
    workload = Workload(
        installation.images.sidecar.name, namespace="e2e-up", pods=FEW, min_ready_s=0
    )
    run = await resized(kubectl, workload, MANY)
    show(f"(c) scale {FEW} to {MANY}", [run])
    assert missed([run], RESIZE) == []


async def test_scaling_up_without_the_rebalance_leaves_the_new_pods_empty(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The counter-proof: `rebalance: Disabled`, so streams stay where they are."""
    workload = Workload(
        installation.images.sidecar.name,
        namespace="e2e-up-uneven",
        pods=FEW,
        min_ready_s=0,
        drain_policy={"rebalance": "Disabled"},
    )
    run = await resized(kubectl, workload, MANY)
    run = replace(run, mode="tidegate without rebalance")
    show(f"(c) scale {FEW} to {MANY}, without rebalance", [run])
    assert len(missed([run], EVEN)) == len(EVEN)


async def test_scaling_in_moves_each_client_at_most_once(
    kubectl: Kubectl, installation: Installation
) -> None:
    """From 6 to 4: the streams of two pods land evenly on the other four."""
    workload = Workload(
        installation.images.sidecar.name, namespace="e2e-in", pods=MANY, min_ready_s=0
    )
    run = await resized(kubectl, workload, FEW)
    show(f"(c) scale {MANY} to {FEW}", [run])
    assert missed([run], RESIZE) == []


async def test_scaling_in_stock_hurts(kubectl: Kubectl, installation: Installation) -> None:
    """The counter-proof: streams cut at SIGTERM, no operator."""
    workload = Workload(
        installation.images.sidecar.name,
        mode=MODE_STOCK,
        namespace="e2e-in-stock",
        pods=MANY,
        min_ready_s=0,
    )
    installation.scale("operator", 0)
    try:
        run = await resized(kubectl, workload, FEW)
    finally:
        installation.scale("operator", 2)
    show(f"(c) scale {MANY} to {FEW}, stock", [run])
    misses = " ".join(missed([run], RESIZE))
    assert "cut_without_goodbye" in misses
    assert "peak_over_budget" in misses


async def scaled_in_with_idle_pods(
    kubectl: Kubectl, installation: Installation, namespace: str, *, operators: int
) -> tuple[Run, bool]:
    """Scale in by as many pods as are idle; also returns whether it was those that went."""
    workload = Workload(
        installation.images.sidecar.name,
        namespace=namespace,
        pods=IDLE,
        min_ready_s=0,
        grace_s=30,
        drain_policy={"rebalance": "Disabled"},
    )
    installation.scale("operator", 0)
    try:
        async with staged(kubectl, workload, AUDIENCE) as stage:
            idle = await _idle_beside_full_ones(kubectl, stage)
            async with observed(kubectl, stage) as seen:
                await asyncio.to_thread(installation.scale, "operator", operators)
                if operators:
                    known = "every pod has its deletion cost"
                    await stage.until(known, lambda: _costs_are_known(stage), KNOWN_TIMEOUT_S)
                seen.begin()
                await scale(kubectl, stage, FULL)
                await until_only(stage, stage.pods.alive()[0].revision)
            went = {pod.name for pod in stage.pods.seen.values() if pod.gone_s is not None}
            return seen.run, went == idle
    finally:
        installation.scale("operator", 2)


async def _idle_beside_full_ones(kubectl: Kubectl, stage: Stage) -> set[str]:
    """Let the first pods grow old, scale up, and close them by hand; returns their names."""
    await until_all_ready(stage, IDLE)
    first = {pod.name: pod for pod in stage.pods.alive()}
    since_s = max(pod.ready_s for pod in first.values())
    older = f"{IDLE} pods are {OLDER_S:.0f} s old"
    await stage.until(older, lambda: time.monotonic() - since_s >= OLDER_S, OLDER_S + 5)
    await scale(kubectl, stage, IDLE + FULL)
    await until_all_ready(stage, IDLE + FULL)
    labels = (f"--namespace={stage.workload.namespace}", "--overwrite", f"{LABEL_ADMIT}=false")
    await asyncio.to_thread(kubectl, "label", "pods", *first, *labels)
    await stage.until(f"{FULL} endpoints", lambda: stage.endpoints.now == FULL, KNOWN_TIMEOUT_S)
    # What kube-proxy knows cannot be asked; it takes changes up once a second.
    await asyncio.sleep(2 * SYNC_PERIOD_S)
    return {*first}


def _costs_are_known(stage: Stage) -> bool:
    return all(ANNOTATION_DELETION_COST in pod.annotations for pod in stage.pods.alive())


async def test_scaling_in_takes_the_pods_with_fewest_streams(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The oldest pods are idle; the deletion cost has them leave first, and nobody moves."""
    run, as_desired = await scaled_in_with_idle_pods(
        kubectl, installation, "e2e-in-idle", operators=2
    )
    show(f"(c) scale {IDLE + FULL} to {FULL}, {IDLE} pods are idle", [run])
    assert as_desired
    assert missed([run], (*SMOOTH, Goal("moves_per_client", "<=", 0.0))) == []


async def test_scaling_in_without_deletion_costs_takes_the_youngest(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The counter-proof: nobody writes the cost, so two of the three full pods leave."""
    run, as_desired = await scaled_in_with_idle_pods(
        kubectl, installation, "e2e-in-youngest", operators=0
    )
    run = replace(run, mode="tidegate without deletion costs")
    show(f"(c) scale {IDLE + FULL} to {FULL}, {IDLE} pods are idle, without deletion costs", [run])
    assert not as_desired
    assert missed([run], (Goal("moves_per_client", "<=", 0.5),)) != []
