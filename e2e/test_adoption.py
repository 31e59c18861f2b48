"""Tidegate comes to a running application, and goes: never a second without endpoints.

The steps are those of docs/adoption.md. Each is also taken in the wrong order, to see what that
costs.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from e2e.goals import UNHARMED, missed, show
from e2e.installation import BACKPLANE, Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.adopting import Adopting, Step
from e2e.rollouts.happening import happening
from e2e.rollouts.operations import undo
from e2e.rollouts.rollout import until_replaced
from e2e.rollouts.stage import Audience, Stage, staged

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

AUDIENCE = Audience(clients=500)
FEW = Audience(clients=40)
WATCHED_S = 3.0


def application(installation: Installation, namespace: str, **shape: Any) -> Adopting:
    """The application as it is before anybody has heard of Tidegate."""
    image = installation.images.sidecar.name
    return Adopting(image=image, namespace=namespace, backplane=BACKPLANE, **shape)


async def test_adoption_and_undo_never_empty_the_service(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Prepare the template, then the Service, then annotate; `rollout undo` goes back halfway."""
    bare = application(installation, "e2e-adoption", min_ready_s=2)
    prepared = replace(bare, step=Step.PREPARED)
    adopted = replace(bare, step=Step.ADOPTED, steered=True)
    async with happening(kubectl, bare, AUDIENCE) as seen:
        stage = seen.stage
        await _roll_to(kubectl, stage, prepared)
        await _apply(kubectl, adopted.services()[0])
        await _roll_to(kubectl, stage, adopted)
        before, undone_s = stage.load.progress, time.monotonic()
        old = {pod.name for pod in stage.pods.alive()}
        await undo(kubectl, stage)
        await until_replaced(stage, old)
        took_s = time.monotonic() - undone_s
        await stage.settle()
        moves = stage.load.progress.moves - before.moves
        cuts = stage.load.progress.cuts - before.cuts
    left = {pod.name for pod in stage.pods.alive()} & old
    show("(k) adoption in three steps, and undo of the last", [seen.run])
    print(f"without an endpoint: {seen.empty_s:.2f} s")
    print(f"the undo: {moves} moves, {cuts} cut, {took_s:.1f} s")
    assert seen.empty_s == 0
    assert cuts == 0
    assert took_s < bare.grace_s
    assert left == set()
    assert missed([seen.run], UNHARMED) == []


@pytest.mark.counterproof
async def test_a_selector_that_comes_before_the_label_empties_the_service(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The second step before the first."""
    bare = application(installation, "e2e-adoption-selector", pods=2, min_ready_s=0)
    prepared = replace(bare, step=Step.PREPARED, steered=True)
    async with staged(kubectl, bare, FEW) as stage:
        await stage.fill()
        began_s = time.monotonic()
        await _apply(kubectl, prepared.services()[0])
        await _roll_to(kubectl, stage, prepared)
        empty_s = stage.endpoints.seconds_without(began_s, time.monotonic())
    print(f"(k) the selector first: {empty_s:.2f} s without an endpoint")
    assert empty_s > 0


@pytest.mark.counterproof
async def test_an_undo_to_a_template_without_the_label_empties_the_service(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Label and annotation in one step leave no revision to go back to."""
    bare = application(installation, "e2e-adoption-at-once", pods=2, min_ready_s=0)
    adopted = replace(bare, step=Step.ADOPTED, steered=True)
    async with staged(kubectl, bare, FEW) as stage:
        await stage.fill()
        await _roll_to(kubectl, stage, adopted)
        await _apply(kubectl, adopted.services()[0])
        await stage.until("the Service leads to the sidecars", lambda: stage.endpoints.now == 2, 20)
        began_s = time.monotonic()
        old = {pod.name for pod in stage.pods.alive()}
        await undo(kubectl, stage)
        await until_replaced(stage, old)
        watched_s = time.monotonic() + WATCHED_S
        await stage.until("a while", lambda: time.monotonic() >= watched_s, 2 * WATCHED_S)
        empty_s = stage.endpoints.seconds_without(began_s, time.monotonic())
    print(f"(k) undo of an adoption in one step: {empty_s:.2f} s without an endpoint, and no end")
    assert empty_s >= WATCHED_S


async def _roll_to(kubectl: Kubectl, stage: Stage, workload: Adopting) -> None:
    """Apply the template, wait until all pods are of it and the clients have come to rest."""
    old = {pod.name for pod in stage.pods.alive()}
    await _apply(kubectl, workload.deployment())
    await until_replaced(stage, old)
    await stage.settle()


async def _apply(kubectl: Kubectl, document: dict[str, Any]) -> None:
    await asyncio.to_thread(kubectl.apply, document)
