"""The operator stops in mid-rollout, and another one, that knows nothing, goes on: in virtual time.

A Lease is over after ten seconds, so for twelve no pod gets an answer; then their first reports
come within three seconds.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate_lab.simulate.run import simulate
from tidegate_lab.simulate.settings import Settings

FLEET = Settings(
    pods=5, clients=500, budget_per_s=50, ready_delay_s=3, min_ready_s=5, grace_s=60, away_s=12
)


@pytest.mark.parametrize("away_from_s", [3.0, 8.0, 15.0, 25.0])
def test_the_rollout_ends_as_well_as_an_undisturbed_one(away_from_s: float) -> None:
    runs = [replace(FLEET, away_from_s=away_from_s, seed=seed) for seed in (1, 2, 3)]
    moves: list[float] = []
    for card in (simulate(run).scorecard for run in runs):
        assert card.balance_max_over_mean is not None
        assert card.balance_min_over_mean is not None
        assert card.moves_per_client is not None
        assert card.transient_max_over_mean is not None
        assert card.balance_max_over_mean <= 1.10
        assert card.balance_min_over_mean >= 0.88
        assert card.transient_max_over_mean <= 1.15
        assert (card.cut_without_goodbye, card.failed_connects, card.bounced) == (0, 0, 0)
        moves.append(card.moves_per_client)
    assert sum(moves) / len(moves) <= 1.03


def test_a_fleet_that_nobody_steered_to_the_end_is_evened_out_when_an_operator_is_back() -> None:
    """It is back when all old pods have gone and only the counting goes on."""
    alone = simulate(replace(FLEET, away_from_s=1.0, away_s=FLEET.at_most_s)).scorecard
    assert alone.rollout_s is not None
    assert alone.balance_min_over_mean is not None
    assert alone.balance_min_over_mean < 0.88, "there is something to even out"
    back = replace(FLEET, away_from_s=1.0, away_s=alone.rollout_s + 0.5, heard_within_s=1.0)
    card = simulate(back).scorecard
    assert card.balance_max_over_mean is not None
    assert card.balance_min_over_mean is not None
    assert card.balance_max_over_mean <= 1.10
    assert card.balance_min_over_mean >= 0.88
