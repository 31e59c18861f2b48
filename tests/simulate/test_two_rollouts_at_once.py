"""Two Deployments under one policy that roll at the same moment share its budget."""

from __future__ import annotations

import random
from functools import partial

import pytest

from tidegate.score.measures import peak_in_window
from tidegate_lab.simulate.clients import Clients
from tidegate_lab.simulate.fleet import SimulatedFleet
from tidegate_lab.simulate.pods import SimulatedPod
from tidegate_lab.simulate.settings import Settings
from tidegate_lab.simulate.timeline import Timeline


@pytest.mark.parametrize("seed", [1, 2])
def test_both_together_stay_within_the_budget_of_the_policy(seed: int) -> None:
    one = Settings(pods=3, clients=150, budget_per_s=40.0, ready_delay_s=3.0, seed=seed)
    timeline, rng = Timeline(), random.Random(seed)
    crowds: list[Clients] = []
    fleets: list[SimulatedFleet] = []

    def released(number: int, pod: SimulatedPod, client: int, retry_s: float | None) -> None:
        crowds[number].released(pod, client, retry_s)
        fleets[number].changed()

    for number in range(2):
        beside = fleets[0] if fleets else None
        fleet = SimulatedFleet(one, timeline, rng, partial(released, number), beside)
        fleets.append(fleet)
        crowds.append(Clients(one, timeline, rng, fleet.service))
        for client in range(one.clients):
            crowds[number].place(client, fleet.pods[client % one.pods])
        fleet.changed()
        timeline.at(5.0, fleet.roll)
    timeline.run(lambda: False, 60.0)
    assert all(min(crowd.moves) >= 1 for crowd in crowds), "both have rolled"
    both = sorted([*crowds[0].arrivals_s, *crowds[1].arrivals_s])
    assert peak_in_window(both) <= 1.04 * one.budget_per_s
