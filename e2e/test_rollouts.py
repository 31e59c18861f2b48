"""`kubectl rollout restart` with 500 streams on 5 pods, as its clients feel it, in three modes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from e2e.goals import ALL_AT_ONCE, ONE_BY_ONE, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.rollout import roll_out
from e2e.rollouts.stage import Audience
from e2e.rollouts.workload import DEFAULT_STRATEGY, Workload
from tidegate.contract.names import MODE_STOCK, MODE_STOCK_SLEEP, MODE_TIDEGATE
from tidegate.score.goals import Goal
from tidegate.score.observe import compare
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

AUDIENCE = Audience(clients=500)


async def measured(installation: Installation, mode: str, shape: dict[str, Any]) -> Run:
    """One rollout; for the stock modes there is no operator."""
    workload = Workload(
        image=installation.images.sidecar.name,
        mode=mode,
        namespace=f"e2e-{mode.replace('+', '-')}",
        **shape,
    )
    stock = mode != MODE_TIDEGATE
    if stock:
        installation.scale("operator", 0)
    try:
        return await roll_out(installation.kubectl, workload, AUDIENCE)
    finally:
        if stock:
            installation.scale("operator", 2)


@pytest.mark.parametrize(
    ("shape", "surge", "unavailable", "goals"),
    [
        pytest.param({"min_ready_s": 5}, 1, 0, ONE_BY_ONE, id="one by one"),
        pytest.param(
            {"min_ready_s": 0, "strategy": DEFAULT_STRATEGY},
            2,
            1,
            ALL_AT_ONCE,
            id="the default strategy",
        ),
    ],
)
async def test_a_rolling_update_is_not_felt(
    kubectl: Kubectl,
    installation: Installation,
    shape: dict[str, Any],
    surge: int,
    unavailable: int,
    goals: tuple[Goal, ...],
) -> None:
    """Stock hurts, the usual sleep still hurts, Tidegate does not."""
    modes = (MODE_STOCK, MODE_STOCK_SLEEP, MODE_TIDEGATE)
    runs = compare([await measured(installation, m, shape) for m in modes], surge, unavailable)
    show(f"rolling update, surge {surge}, unavailable {unavailable}", runs)
    assert missed(runs, goals) == []


async def test_without_steering_the_goals_are_missed(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The label not in the template: streams drain evenly and land anywhere, also on old pods."""
    run = await measured(installation, MODE_TIDEGATE, {"min_ready_s": 5, "admit": False})
    show("rolling update without steering", [replace(run, mode="tidegate without steering")])
    assert any("moves_per_client" in miss for miss in missed([run], ONE_BY_ONE))
