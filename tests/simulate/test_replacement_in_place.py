"""A StatefulSet's rollout and the strategy Recreate, beside stock ones of the same start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.score.scorecard import Scorecard
from tidegate_lab.simulate.run import simulate
from tidegate_lab.simulate.settings import Settings

STATEFUL = Settings(
    pods=3,
    clients=300,
    budget_per_s=20.0,
    strategy="StatefulSet",
    ready_delay_s=4.0,
    grace_s=60.0,
)


def both(settings: Settings) -> tuple[Scorecard, Scorecard]:
    stock = simulate(replace(settings, policy="stock")).scorecard
    return stock, simulate(settings).scorecard


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_stateful_set_moves_fewer_clients_than_stock_and_waits_for_nothing(seed: int) -> None:
    settings = replace(STATEFUL, seed=seed)
    stock, card = both(settings)
    assert stock.moves_per_client is not None
    assert card.moves_per_client is not None
    assert card.moves_per_client <= stock.moves_per_client
    assert card.rollout_s is not None
    assert card.peak_over_budget is not None
    # With a pod missing, the others hold N/(k-1): k-1 of the k drains are that much longer.
    k, n, budget = settings.pods, settings.clients, settings.budget_per_s
    drains_s = (n / k + (k - 1) * n / (k - 1)) / budget
    pods_s = k * (settings.ready_delay_s + 1.0)
    assert card.rollout_s <= drains_s + pods_s
    assert card.peak_over_budget <= 1.10
    assert card.cut_without_goodbye == card.failed_connects == card.lost == 0


def test_recreate_lets_go_so_that_the_new_pods_can_come() -> None:
    settings = replace(STATEFUL, strategy="Recreate")
    stock, card = both(settings)
    assert card.rollout_s is not None
    assert card.rollout_s <= settings.linger_s
    assert card.cut_without_goodbye == card.lost == 0
    assert stock.peak_over_budget is not None
    assert card.peak_over_budget is not None
    assert card.peak_over_budget <= stock.peak_over_budget / 4
    # The last one's turn, once the pods are there.
    turns_s = settings.clients / settings.budget_per_s
    assert card.offline_p99_ms is not None
    assert card.offline_p99_ms / 1000 <= settings.linger_s + 2 * settings.ready_delay_s + turns_s
