"""`kubectl rollout restart` with 500 streams on 5 pods, as its clients feel it, in three modes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from e2e.goals import ALL_AT_ONCE, ONE_BY_ONE, missed, missed_in, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.rollout import roll_out
from e2e.rollouts.stage import Audience
from e2e.rollouts.workload import DEFAULT_STRATEGY, Workload
from tidegate.contract.names import MODE_STOCK, MODE_STOCK_SLEEP, MODE_TIDEGATE
from tidegate.score.goals import Goal
from tidegate.score.observe import compare
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

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


ONE_BY_ONE_SHAPE: dict[str, Any] = {"min_ready_s": 5}
DEFAULT_SHAPE: dict[str, Any] = {"min_ready_s": 0, "strategy": DEFAULT_STRATEGY}


@pytest.mark.parametrize(
    ("shape", "surge", "unavailable", "goals", "times"),
    [
        pytest.param(ONE_BY_ONE_SHAPE, 1, 0, ONE_BY_ONE, 1, id="one by one"),
        pytest.param(DEFAULT_SHAPE, 2, 1, ALL_AT_ONCE, 3, id="the default strategy"),
    ],
)
async def test_a_rolling_update_is_not_felt(
    kubectl: Kubectl,
    installation: Installation,
    shape: dict[str, Any],
    surge: int,
    unavailable: int,
    goals: tuple[Goal, ...],
    times: int,
) -> None:
    """Stock hurts, the usual sleep still hurts, Tidegate does not, as often as it is done."""
    modes = (MODE_STOCK, MODE_STOCK_SLEEP, *[MODE_TIDEGATE] * times)
    runs = compare([await measured(installation, m, shape) for m in modes], surge, unavailable)
    show(f"rolling update, surge {surge}, unavailable {unavailable}", runs)
    assert missed_in(runs, goals) == []


@pytest.mark.parametrize(
    ("shape", "goals", "misses"),
    [
        pytest.param(ONE_BY_ONE_SHAPE, ONE_BY_ONE, "moves_per_client", id="one by one"),
        pytest.param(DEFAULT_SHAPE, ALL_AT_ONCE, "balance", id="the default strategy"),
    ],
)
@pytest.mark.counterproof
async def test_without_steering_the_goals_are_missed(
    kubectl: Kubectl,
    installation: Installation,
    shape: dict[str, Any],
    goals: tuple[Goal, ...],
    misses: str,
) -> None:
    """The label not in the template: streams drain evenly and land anywhere, also on old pods."""
    run = await measured(installation, MODE_TIDEGATE, {**shape, "admit": False})
    kind = "one by one" if shape is ONE_BY_ONE_SHAPE else "the default strategy"
    title = f"rolling update without steering, {kind}"
    show(title, [replace(run, mode="tidegate without steering")])
    assert any(misses in miss for miss in missed([run], goals))
