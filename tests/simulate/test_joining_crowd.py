"""Clients that join by themselves while the planner has a reason to even the fleet out."""

from __future__ import annotations

from typing import get_args

import pytest

from tidegate_lab.simulate.crowd import Before, CrowdSettings, simulate_crowd
from tidegate_lab.simulate.settings import Settings

SHARE = 200
"""Streams per pod in the end: by chance alone none of 7 has a quarter more."""


@pytest.mark.parametrize("before", get_args(Before))
@pytest.mark.parametrize("per_s", [250.0, 500.0])
@pytest.mark.parametrize("pods", [3, 5, 7])
def test_a_crowd_is_spread_by_chance_and_none_of_it_is_moved(
    before: Before, per_s: float, pods: int
) -> None:
    fleet = Settings(pods=pods, clients=SHARE * pods, budget_per_s=50.0, ready_delay_s=3.0)
    outcome = simulate_crowd(CrowdSettings(before, per_s, fleet))
    assert outcome.connected == fleet.clients
    assert outcome.moves == 0
    assert outcome.fullest_over_mean <= 1.25


def test_what_a_crowd_does_not_even_out_is_evened_out_after_it() -> None:
    """Half of the clients are there, on half of the pods, when the others come."""
    fleet = Settings(pods=5, clients=5 * SHARE, budget_per_s=50.0, ready_delay_s=3.0)
    outcome = simulate_crowd(CrowdSettings("scale-out", 250.0, fleet, there=0.5))
    assert outcome.connected == fleet.clients
    assert outcome.moves > 0
    assert outcome.ends_over_mean <= 1.05
