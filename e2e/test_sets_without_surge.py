"""Sets whose next pod comes only when its predecessor is gone: no drain waits for it."""

from __future__ import annotations

import time

import pytest

from e2e.goals import UNHARMED, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.happening import Happening, happening
from e2e.rollouts.rollout import replaced, restart
from e2e.rollouts.stage import Audience
from e2e.rollouts.workload import RECREATE, STATEFUL_SET, Workload
from tidegate.contract.names import MODE_STOCK, MODE_TIDEGATE
from tidegate.score.goals import Goal
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

AUDIENCE = Audience(clients=300)
PODS, GRACE_S = 3, 60
GENTLE = (*UNHARMED, Goal("cut_without_goodbye", "==", 0))


async def rolled(kubectl: Kubectl, workload: Workload) -> tuple[Run, float]:
    """The run, and how long the rollout took from the restart to the last ready pod, in seconds."""
    async with happening(kubectl, workload, AUDIENCE) as seen:
        await (
            _each_replaced(kubectl, seen) if workload.kind == STATEFUL_SET else _all(kubectl, seen)
        )
        took_s = time.monotonic() - seen.began_s
    show(f"{workload.kind} of {PODS}, {workload.mode}", [seen.run])
    return seen.run, took_s


async def _all(kubectl: Kubectl, seen: Happening) -> None:
    await replaced(kubectl, seen.stage)


async def _each_replaced(kubectl: Kubectl, seen: Happening) -> None:
    """The next pod has its predecessor's name, so it is told by when it was created."""
    await restart(kubectl, seen.stage)

    def done() -> bool:
        alive = seen.stage.pods.alive()
        new = [pod for pod in alive if pod.created_s > seen.began_s]
        return len(alive) == len(new) == PODS and all(pod.ready for pod in new)

    await seen.stage.until("rolling update", done, PODS * 2 * GRACE_S)


def workload(installation: Installation, kind: str, mode: str) -> Workload:
    """Three pods of a kind, rolled out in a mode."""
    return Workload(
        installation.images.sidecar.name,
        mode=mode,
        kind=kind,
        namespace=f"e2e-{kind.lower()}-{mode}",
        pods=PODS,
        min_ready_s=0,
        grace_s=GRACE_S,
    )


async def test_a_stateful_set_moves_its_clients_in_the_time_that_the_budget_takes(
    kubectl: Kubectl, installation: Installation
) -> None:
    """No pod waits out its grace period; per pod: its streams at the budget, and stock's time."""
    installation.scale("operator", 0)
    try:
        stock, stock_s = await rolled(kubectl, workload(installation, STATEFUL_SET, MODE_STOCK))
    finally:
        installation.scale("operator", 2)
    shape = workload(installation, STATEFUL_SET, MODE_TIDEGATE)
    run, took_s = await rolled(kubectl, shape)
    # A later pod holds what the first ones have let go: up to half as much again.
    moving_s = (run.scorecard.moves_per_client or 0.0) * AUDIENCE.clients / shape.budget_per_s
    print(f"StatefulSet of {PODS}: {took_s:.1f} s, stock {stock_s:.1f} s, moving {moving_s:.1f} s")
    assert missed([run], (*GENTLE, Goal("failed_connects", "==", 0))) == []
    assert run.scorecard.peak_over_budget is not None
    assert run.scorecard.peak_over_budget <= 1.15
    assert took_s <= 1.25 * (stock_s + moving_s)
    assert stock.scorecard.moves_per_client is not None
    assert run.scorecard.moves_per_client is not None
    assert run.scorecard.moves_per_client <= stock.scorecard.moves_per_client + 0.05


async def test_recreate_lets_go_at_once_so_that_the_new_pods_can_come(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Waiting for a pod to move to would be an outage of a whole grace period.

    The returns are not judged: where the outage outlasts the goodbye's `retry:`, clients come back
    by their own back-off (2.65 of the budget in the busiest second, measured once).
    """
    run, took_s = await rolled(kubectl, workload(installation, RECREATE, MODE_TIDEGATE))
    print(f"Recreate of {PODS}: {took_s:.1f} s")
    assert missed([run], GENTLE) == []
    assert took_s <= GRACE_S / 2
