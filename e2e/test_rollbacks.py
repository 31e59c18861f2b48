"""(c) Rollouts that do not simply go through: undone, paused, scaled in the middle of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from e2e.goals import RESIZED, ROLLBACK, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.happening import happening
from e2e.rollouts.operations import (
    closed,
    other_revision,
    pause,
    resume,
    scale,
    undo,
    until_only,
    until_ready,
)
from e2e.rollouts.rollout import restart
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import Workload
from tidegate.score.goals import Goal
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

AUDIENCE = Audience(clients=500)
ENOUGH = 2
"""New pods that are there when somebody interferes: 40 % of five."""

PAUSE_S = 15.0
"""Longer than the planner takes to see that a rollout does not go on (10 s)."""

PAUSED = (*RESIZED, Goal("moves_per_client", "<=", 1.03))
"""As a rollout that went through at once."""

AUTOSCALED = (*RESIZED, Goal("moves_per_client", "<=", 1.03 + 1 / 7))
"""Everybody moves once, and those of the pod that is scaled away once more."""

Interfere = Callable[[Stage, str], Awaitable[str]]
"""Does something to a rollout of that old revision; returns the revision that is to remain."""


async def interfered(kubectl: Kubectl, workload: Workload, interfere: Interfere) -> Run:
    """Restart, interfere when 40 % of the pods are new, wait for the outcome, and score."""
    async with happening(kubectl, workload, AUDIENCE) as seen:
        stage = seen.stage
        old = stage.pods.alive()[0].revision
        await restart(kubectl, stage)
        await until_ready(stage, ENOUGH, beside=old)
        last = await interfere(stage, old)
        await until_only(stage, last)
    return seen.run


async def undone(kubectl: Kubectl, workload: Workload) -> Run:
    """`kubectl rollout undo` at 40 %."""

    async def interfere(stage: Stage, old: str) -> str:
        await undo(kubectl, stage)
        return old

    return await interfered(kubectl, workload, interfere)


async def test_an_undone_rollout_ends_even(kubectl: Kubectl, installation: Installation) -> None:
    """Some clients move twice; the pods that came back are filled as evenly as new ones."""
    workload = Workload(installation.images.sidecar.name, namespace="e2e-undo")
    run = await undone(kubectl, workload)
    show("(c) rollout undo at 40 %", [run])
    assert missed([run], ROLLBACK) == []


async def test_an_undone_rollout_without_steering_ends_uneven(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The counter-proof: the surviving pods keep their streams, the pods that came back get few."""
    workload = Workload(
        installation.images.sidecar.name, namespace="e2e-undo-unsteered", admit=False
    )
    run = await undone(kubectl, workload)
    run = replace(run, mode="tidegate without steering")
    show("(c) rollout undo at 40 %, without steering", [run])
    assert any("balance_min_over_mean" in miss for miss in missed([run], ROLLBACK))


async def paused_and_resumed(kubectl: Kubectl, workload: Workload) -> tuple[Run, int, set[str]]:
    """Pause at 40 %, look on, resume; also the moves while nothing went on, and who was closed."""
    moves, left_out = -1, set[str]()

    async def interfere(stage: Stage, old: str) -> str:
        nonlocal moves, left_out
        await pause(kubectl, stage)
        await stage.settle()
        before, since_s = stage.load.progress.moves, time.monotonic()
        await stage.until("paused", lambda: time.monotonic() - since_s >= PAUSE_S, PAUSE_S + 5)
        moves = stage.load.progress.moves - before
        revisions = {pod.name: pod.revision for pod in stage.pods.alive()}
        left_out = {name for name in closed(stage) if revisions[name] == old}
        new = other_revision(stage, old)
        await resume(kubectl, stage)
        return new

    run = await interfered(kubectl, workload, interfere)
    return run, moves, left_out


async def test_a_paused_rollout_is_quiet_and_goes_on_when_resumed(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Nobody moves in the pause, the old pods take new streams again, and each moves once."""
    workload = Workload(installation.images.sidecar.name, namespace="e2e-pause")
    run, moves, left_out = await paused_and_resumed(kubectl, workload)
    show("(c) rollout paused at 40 % and resumed", [run])
    assert moves == 0
    assert left_out == set()
    assert missed([run], PAUSED) == []


async def test_a_paused_rollout_without_steering_moves_clients_twice(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The counter-proof: whoever lands on an old pod has to move again."""
    workload = Workload(
        installation.images.sidecar.name, namespace="e2e-pause-unsteered", admit=False
    )
    run, _, _ = await paused_and_resumed(kubectl, workload)
    run = replace(run, mode="tidegate without steering")
    show("(c) rollout paused at 40 % and resumed, without steering", [run])
    assert any("moves_per_client" in miss for miss in missed([run], PAUSED))


async def autoscaled(kubectl: Kubectl, workload: Workload) -> Run:
    """Two pods more at 40 %, and one less when four of the new ones are there."""

    async def interfere(stage: Stage, old: str) -> str:
        new = other_revision(stage, old)
        await scale(kubectl, stage, workload.pods + 2)
        await until_ready(stage, 4, beside=old)
        await scale(kubectl, stage, workload.pods + 1)
        return new

    return await interfered(kubectl, workload, interfere)


async def test_an_autoscaler_does_not_disturb_a_rollout(
    kubectl: Kubectl, installation: Installation
) -> None:
    """5, 7 and 6 pods during one rollout."""
    workload = Workload(installation.images.sidecar.name, namespace="e2e-hpa")
    run = await autoscaled(kubectl, workload)
    show("(c) scaled from 5 to 7 and to 6 during a rollout", [run])
    assert missed([run], AUTOSCALED) == []


async def test_an_autoscaled_rollout_without_steering_moves_clients_twice(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The counter-proof: streams land anywhere, also on pods that are about to go."""
    workload = Workload(
        installation.images.sidecar.name, namespace="e2e-hpa-unsteered", admit=False
    )
    run = await autoscaled(kubectl, workload)
    run = replace(run, mode="tidegate without steering")
    show("(c) scaled from 5 to 7 and to 6 during a rollout, without steering", [run])
    assert any("moves_per_client" in miss for miss in missed([run], AUTOSCALED))
